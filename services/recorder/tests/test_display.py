"""The recording's own screen and the pictures taken of it, on real X servers."""

import asyncio
import itertools
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xcffib.randr
from numpy.typing import NDArray
from xcffib.xproto import GC

from panoreel.recorder import display as module
from panoreel.recorder import grabber as grabbing
from panoreel.recorder.bands import Bands
from panoreel.recorder.display import SOCKETS, Display, Geometry
from panoreel.recorder.grabber import Grabber
from panoreel.recorder.privileges import ProgramUser
from panoreel.recorder.x11 import connect

FPS = 30
WHITE, RED = 0xFFFFFF, 0xFF0000
Rectangle: Any = xcffib.xproto.RECTANGLE
EVERYTHING = Rectangle.synthetic(0, 0, 4000, 4000)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection names its display in our environment: put it back afterwards."""
    for name in ("DISPLAY", "XAUTHORITY"):
        monkeypatch.setenv(name, "")


@asynccontextmanager
async def started(width: int, height: int, fps: int = FPS) -> AsyncIterator[Display]:
    user = ProgramUser.choose("panoreel" if os.geteuid() == 0 else None)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        display = Display(
            Geometry.holding(width, height, fps), user, user.make_directory(Path(directory) / "home")
        )
        try:
            await display.start()
            yield display
        finally:
            await display.stop()


@asynccontextmanager
async def grabber(width: int, height: int) -> AsyncIterator[tuple[Display, Grabber]]:
    uid = ProgramUser.choose("panoreel" if os.geteuid() == 0 else None).uid
    async with started(width, height) as display:
        with Grabber(display.env, width, height, FPS, uid) as taking:
            yield display, taking


class Painter:
    """Fills the screen, or places of it, with one colour after the other."""

    def __init__(self, display: Display) -> None:
        self.connection: Any = connect(display.env)
        self.root = self.connection.get_setup().roots[0].root
        self.gc = self.connection.generate_id()
        self.connection.core.CreateGC(self.gc, self.root, GC.Foreground, [WHITE])

    def fill(self, colour: int, *places: Any) -> None:
        self.connection.core.ChangeGC(self.gc, GC.Foreground, [colour])
        places = places or (EVERYTHING,)
        self.connection.core.PolyFillRectangle(self.root, self.gc, len(places), places)
        self.connection.core.GetInputFocus().reply()

    def screen(self, width: int, height: int) -> NDArray[np.uint8]:
        """What is shown, as rows, columns and BGR."""
        form = xcffib.xproto.ImageFormat.ZPixmap
        image = self.connection.core.GetImage(form, self.root, 0, 0, width, height, WHITE).reply()
        return np.array(image.data, np.uint8).reshape(height, width, 4)[:, :, :3]


@pytest.fixture
def painting() -> Iterator[threading.Event]:
    """Set while a painter may go on."""
    event = threading.Event()
    event.set()
    yield event
    event.clear()


@pytest.mark.parametrize(
    ("width", "height", "fps"),
    [(1280, 720, FPS), (2560, 2560, FPS), (2560, 2560, 60), (641, 361, FPS), (1, 1, FPS)],
)
async def test_the_screen_holds_the_picture_and_has_exactly_its_frame_rate(
    width: int, height: int, fps: int
) -> None:
    async with started(width, height, fps) as display:
        connection = connect(display.env)
        screen = connection.get_setup().roots[0]
        assert screen.width_in_pixels >= width + 2
        assert screen.height_in_pixels >= height
        resources = connection(xcffib.randr.key).GetScreenResourcesCurrent(screen.root).reply()
        connection.disconnect()
        mode = resources.modes[0]
        assert (mode.width, mode.height) == (screen.width_in_pixels, screen.height_in_pixels)
        assert mode.dot_clock / (mode.htotal * mode.vtotal) == fps


async def test_xvfb_stands_in_where_there_is_no_xorg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "XORG", Path("/nonexistent/Xorg"))
    async with grabber(320, 200) as (display, taking):
        Painter(display).fill(RED)
        assert await asyncio.to_thread(taking.next)
        assert (taking.picture[:, :, :3] == (0, 0, 255)).all()


async def test_only_who_knows_the_cookie_may_connect() -> None:
    async with started(320, 200) as display:
        with pytest.raises(xcffib.ConnectionException):
            connect({**display.env, "XAUTHORITY": "/dev/null"})


async def test_a_killed_server_leaves_no_socket() -> None:
    async with started(320, 200) as display:
        path = SOCKETS / f"X{display.number}"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
        assert display._process
        os.kill(display._process.pid, signal.SIGKILL)
        await display._process.wait()
        assert path.exists()
    assert not path.exists()


async def test_a_restless_screen_is_taken_at_the_frame_rate_in_strict_order(
    painting: threading.Event, slack: float
) -> None:
    async with grabber(2, 2) as (display, taking):
        painter = Painter(display)

        def paint() -> None:
            colour = 0
            while painting.is_set():
                painter.fill(colour := (colour + 1) % WHITE)

        thread = threading.Thread(target=paint)
        thread.start()
        taking.end_at(time.monotonic() + 2)
        stamps = await asyncio.to_thread(lambda: list(iter(taking.next, None)))
        painting.clear()
        thread.join()
        assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
        assert 0.9 * 2 * FPS / slack <= len(stamps) <= 2 * FPS + 2


async def test_a_still_screen_is_taken_once_a_second_and_a_change_at_once(slack: float) -> None:
    async with grabber(320, 200) as (display, taking):
        painter = Painter(display)
        painter.fill(WHITE)
        await asyncio.sleep(0.1)
        settled = [await asyncio.to_thread(taking.next) for _ in range(2)][-1]
        following = await asyncio.to_thread(taking.next)
        assert settled
        assert following
        assert following - settled == pytest.approx(1, abs=0.05 * slack)
        assert (taking.picture[:, :, :3] == 255).all()
        changed = time.monotonic()
        painter.fill(RED)
        shown = await asyncio.to_thread(taking.next)
        assert shown == pytest.approx(changed, abs=0.05 * slack)
        assert (taking.picture[:, :, :3] == (0, 0, 255)).all()


async def test_only_what_was_drawn_is_taken_and_the_picture_is_that_of_the_screen() -> None:
    width, height = 641, 361
    random = np.random.default_rng(4)
    async with grabber(width, height) as (display, taking):
        painter = Painter(display)
        taken = list[Bands]()

        async def take() -> None:
            await asyncio.to_thread(taking.next)
            taken.append(taking.bands)
            assert (taking.picture[:, :, :3] == painter.screen(width, height)).all()

        painter.fill(WHITE)
        await take()
        for count in (1, 1, 2, 3, 1, 2, 5):
            places = random.integers((-20, -20, 1, 1), (650, 370, 200, 60), (count, 4))
            rectangles = [Rectangle.synthetic(*map(int, one)) for one in places]
            painter.fill(int(random.integers(WHITE)), *rectangles)
            await take()
        await take()
        taking.start_over()
        await take()
        whole, *parts, still, again = taken
        assert whole == again == ((0, height),)
        assert still == ()
        assert len(set(parts)) > 3
        assert all(sum(bottom - top for top, bottom in part) < height for part in parts)


async def test_the_end_wakes_who_waits_for_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grabbing, "LONGEST_STILL_S", 60.0)
    async with grabber(320, 200) as (_, taking):
        assert await asyncio.to_thread(taking.next)
        waiting = asyncio.create_task(asyncio.to_thread(lambda: list(iter(taking.next, None))))
        await asyncio.sleep(0.2)
        taking.end_at(time.monotonic())
        async with asyncio.timeout(20):
            await waiting
