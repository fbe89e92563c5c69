"""What is asked of a running recording, by the service or by the page, and where that has led so far."""

from __future__ import annotations  # capture is loaded while the programs start

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from panoreel.recorder import protocol
from panoreel.recorder.protocol import RecordingOrder

if TYPE_CHECKING:
    from panoreel.recorder.capture import Capture


class Controls:
    """The state that commands lead to. `stop` comes to hold the monotonic time at which to end."""

    def __init__(self, order: RecordingOrder, tell: Callable[[protocol.Report], None]) -> None:
        loop = asyncio.get_running_loop()
        self.stop: asyncio.Future[float] = loop.create_future()
        self.wanted = asyncio.Event()
        """Set once startRecord was called, or need not be."""
        if not order.manual_start:
            self.wanted.set()
        self._resumed = asyncio.Event()
        if not order.paused:
            self._resumed.set()
        self._pauses: list[tuple[float, float]] = [(time.monotonic(), math.inf)] if order.paused else []
        """From when until when, in monotonic time."""
        self._refreshes: deque[str | None] = deque()
        self._refresh_asked = asyncio.Event()
        self._tell = tell
        self._capture: Capture | None = None
        self._began = asyncio.Event()
        self._calls: dict[int, asyncio.Future[str | None]] = {}
        self._numbers = itertools.count()

    @property
    def waiting(self) -> bool:
        """Whether nothing is captured because somebody wants it so."""
        return not (self.wanted.is_set() and self._resumed.is_set())

    async def allowed(self) -> None:
        """Wait for the first moment that is not `waiting`."""
        while self.waiting:
            await self.wanted.wait()
            await self._resumed.wait()

    def begin(self, capture: Capture) -> None:
        """Steer `capture` from now on; it has its first picture."""
        self._capture = capture
        self._began.set()
        if not self._resumed.is_set():
            capture.pause(time.monotonic())

    def obey(self, command: protocol.Command) -> None:
        """Do what the service asks."""
        match command:
            case protocol.Stop():
                self.end()
            case protocol.Pause():
                self._pause()
            case protocol.Resume():
                self._resume()
            case protocol.Refresh(record_url=record_url):
                self._refreshes.append(record_url)
                self._refresh_asked.set()
            case protocol.PageCallAnswered(call=call, error=error):
                if answer := self._calls.pop(call, None):
                    answer.set_result(error)

    async def next_refresh(self) -> tuple[str | None, int]:
        """What to load, a URL or None for the page again, and how many requests that answers.

        Equal ones that wait behind each other are one: a page in a loop must not have the loading never end.
        """
        await self._refresh_asked.wait()
        url, count = self._refreshes[0], 0
        while self._refreshes and self._refreshes[0] == url:
            self._refreshes.popleft()
            count += 1
        if not self._refreshes:
            self._refresh_asked.clear()
        return url, count

    def end(self) -> None:
        """Stop now; without effect when it has been asked for before."""
        if not self.stop.done():
            self.stop.set_result(time.monotonic())

    def unpaused_s(self, began: float, ended: float) -> float:
        """How much of the time between these two monotonic moments lies in no pause."""
        paused_s = (max(0.0, min(ended, end) - max(began, start)) for start, end in self._pauses)
        return ended - began - sum(paused_s)

    async def begin_wanted(self) -> bool:
        """The page called startRecord: wait until the recording begins; False when it takes a resume."""
        self.wanted.set()
        if self._began.is_set() or not self._resumed.is_set():
            return False
        await self._began.wait()
        return True

    async def ask_service(self, action: protocol.ServiceAction) -> str | None:
        """Have done what the page asks; the answer says why not, or None when all is well."""
        call = next(self._numbers)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._calls[call] = answer
        self._tell(protocol.PageCalled(call=call, action=action))
        return await answer

    def _pause(self) -> None:
        if self._resumed.is_set():
            self._resumed.clear()
            now = time.monotonic()
            self._pauses.append((now, math.inf))
            if self._capture:
                self._capture.pause(now)
        self._tell(protocol.Paused())

    def _resume(self) -> None:
        if not self._resumed.is_set():
            self._resumed.set()
            now = time.monotonic()
            self._pauses[-1] = (self._pauses[-1][0], now)
            if self._capture:
                self._capture.resume(now)
        self._tell(protocol.Resumed())
