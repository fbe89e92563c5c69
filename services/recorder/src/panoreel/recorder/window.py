"""The browser's window: no window manager runs, so that we give it its place and size ourselves."""

import time
from collections.abc import Mapping
from typing import Any, Final

from xcffib.xproto import ConfigWindow, MapState

from panoreel.recorder.errors import ProgramFailed
from panoreel.recorder.x11 import connect

MAP_TIMEOUT_S: Final = 10.0


def fit_window(env: Mapping[str, str], width: int, height: int) -> None:
    """Make the window on the display that `env` names fill the picture exactly, out of the mouse's reach.

    Chromium by itself keeps a window one pixel smaller than the screen, and at least 500 pixels wide. Blocks
    until there is a window; raises `ProgramFailed` if none appears.
    """
    connection = connect(env)
    try:
        screen = connection.get_setup().roots[0]
        window = _visible_window(connection, screen.root)
        place = ConfigWindow.X | ConfigWindow.Y | ConfigWindow.Width | ConfigWindow.Height
        connection.core.ConfigureWindow(window, place, [0, 0, width, height], is_checked=True).check()
        corner = (screen.width_in_pixels - 1, screen.height_in_pixels - 1)
        connection.core.WarpPointer(0, screen.root, 0, 0, 0, 0, *corner, is_checked=True).check()
    finally:
        connection.disconnect()


def _visible_window(connection: Any, root: int) -> int:
    deadline = time.monotonic() + MAP_TIMEOUT_S
    while time.monotonic() < deadline:
        for window in connection.core.QueryTree(root).reply().children:
            attributes = connection.core.GetWindowAttributes(window).reply()
            if attributes.map_state == MapState.Viewable:
                return int(window)
        time.sleep(0.01)
    raise ProgramFailed("the browser showed no window")
