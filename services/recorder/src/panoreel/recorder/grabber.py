"""Pictures of the screen, taken when the page has drawn something: MIT-SHM images on DAMAGE events."""

import os
import select
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final, Self

import numpy as np
import xcffib
import xcffib.damage
import xcffib.shm
import xcffib.xfixes
import xcffib.xproto
from numpy.typing import NDArray

from panoreel.recorder.bands import Bands, bands
from panoreel.recorder.errors import ProgramFailed
from panoreel.recorder.refresh import Refresh
from panoreel.recorder.shared_memory import SharedMemory
from panoreel.recorder.x11 import connect

SETTLE_S: Final = 0.002
"""A page's frame may reach the screen in several drawing operations; the first one causes the event."""

STAMP_S: Final = 0.001
"""X stamps events in milliseconds: no two pictures are closer, since each has a time of its own."""

LONGEST_STILL_S: Final = 1.0
"""A page that draws nothing still yields a picture this often."""


class Grabber:
    """Takes pictures of the top left `width` by `height` pixels of a display, at most `fps` a second.

    `picture` is an array (height, width, 4) of uint8, BGRA, in which `next` renews the rows that have
    changed, which `bands` tells; it lies in memory shared with the X server, whose user is `server_uid`.
    `late` counts the pictures that were taken a frame or more after the page drew them. Of the last one,
    `changed` tells whether the page had drawn anything, and `late_s` by how much the time of `next` is after
    that. A context manager, for one thread at a time but for `end_at`. Raises `ProgramFailed` when the X
    server goes away.
    """

    def __init__(self, env: Mapping[str, str], width: int, height: int, fps: int, server_uid: int) -> None:
        self.late = 0
        self.changed, self.late_s = False, 0.0
        self.bands: Bands = ()
        self._period = 1 / fps
        self._refresh = Refresh(fps)
        self._allowed_at = self._last_at = 0.0
        self._end = float("inf")
        self._damaged_at: float | None = None
        with ExitStack() as stack:
            self._connection = connect(env)
            stack.callback(self._connection.disconnect)
            memory = stack.enter_context(SharedMemory(width * height * 4, server_uid))
            self.picture: NDArray[np.uint8] = memory.array(height, width, 4)
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            stack.callback(os.close, self._wake)
            self._subscribe(memory)
            self._resources = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def end_at(self, moment: float) -> None:
        """Let `next` return None from this monotonic time on; may be called again, and from any thread."""
        self._end = moment
        os.eventfd_write(self._wake, 1)

    def start_over(self) -> None:
        """Take the next picture whole and at once, as the first one was, even if the page draws nothing."""
        self._last_at = 0.0

    def next(self) -> float | None:
        """Wait for the next picture; the monotonic time at which the page showed it, None at the end.

        Each time is later than the one before.
        """
        try:
            return self._next()
        except xcffib.ConnectionException as error:
            raise ProgramFailed("the X server closed the connection") from error

    def _next(self) -> float | None:
        while (now := time.monotonic()) < self._end:
            self._read_events(now)
            due = self._last_at + LONGEST_STILL_S
            if self._damaged_at is not None:
                due = min(due, max(self._damaged_at + SETTLE_S, self._allowed_at))
            if now >= due:
                return self._grab(now)
            self._wait(min(due, self._end) - now)
        return None

    def _grab(self, now: float) -> float:
        self._take()
        shown = now
        if self._damaged_at is not None and self._last_at:
            drawn = self._refresh.shown(self._damaged_at)
            if now - self._damaged_at < self._period:
                shown = drawn
            else:
                self.late += 1
        shown = max(shown, self._last_at + STAMP_S)
        self.changed = self._damaged_at is not None
        began_at = self._damaged_at if self._damaged_at is not None and self._last_at else shown
        self.late_s = max(0.0, shown - began_at)
        self._damaged_at = None
        # A token bucket of one frame: regular frames that jitter all pass, and the mean rate is kept.
        self._allowed_at = max(self._allowed_at, shown - self._period) + self._period
        self._last_at = shown
        return shown

    def _take(self) -> None:
        height, width, _ = self.picture.shape
        damaged: Bands = ()
        if self._damaged_at is not None:
            # Before the image, so that whatever is drawn meanwhile raises an event again.
            self._damage.Subtract(self._damage_id, xcffib.NONE, self._region)
            rectangles = self._xfixes.FetchRegion(self._region).reply().rectangles
            damaged = bands(((one.y, one.y + one.height) for one in rectangles if one.x < width), height)
        self.bands = damaged if self._last_at else ((0, height),)
        form = xcffib.xproto.ImageFormat.ZPixmap
        taken = [
            self._shm.GetImage(
                *(self._root, 0, top, width, bottom - top, 0xFFFFFFFF, form),
                *(self._segment, top * width * 4),
            )
            for top, bottom in self.bands
        ]
        for image in taken:
            image.reply()

    def _read_events(self, now: float) -> None:
        while (event := self._connection.poll_for_event()) is not None:
            if isinstance(event, xcffib.damage.NotifyEvent) and self._damaged_at is None:
                self._damaged_at = now - _age_s(event.timestamp, now)

    def _wait(self, timeout_s: float) -> None:
        self._connection.flush()
        waiting = select.poll()
        waiting.register(self._connection.get_file_descriptor(), select.POLLIN)
        waiting.register(self._wake, select.POLLIN)
        ready = waiting.poll(max(0.0, timeout_s * 1000))
        if any(fd == self._wake for fd, _ in ready):
            os.eventfd_read(self._wake)

    def _subscribe(self, memory: SharedMemory) -> None:
        connection = self._connection
        self._root = connection.get_setup().roots[0].root
        self._shm = connection(xcffib.shm.key)
        self._segment = connection.generate_id()
        self._shm.Attach(self._segment, memory.id, False, is_checked=True).check()
        self._xfixes = connection(xcffib.xfixes.key)
        self._xfixes.QueryVersion(5, 0).reply()
        self._region = connection.generate_id()
        self._xfixes.CreateRegion(self._region, 0, [], is_checked=True).check()
        self._damage = connection(xcffib.damage.key)
        self._damage.QueryVersion(1, 1).reply()
        self._damage_id = connection.generate_id()
        level = xcffib.damage.ReportLevel.NonEmpty
        self._damage.Create(self._damage_id, self._root, level, is_checked=True).check()


def _age_s(timestamp_ms: int, now: float) -> float:
    """How long ago an event was stamped: X servers on Linux count CLOCK_MONOTONIC milliseconds in 32 bits."""
    age_ms = (int(now * 1000) - timestamp_ms) & 0xFFFFFFFF
    return age_ms / 1000 if age_ms < 1000 else 0.0
