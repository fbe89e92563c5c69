"""The story of one recording: a stage is set, a page is shown on it, and what it shows is captured."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from panoreel.contracts.events import Failure
from panoreel.recorder import protocol
from panoreel.recorder.controls import Controls
from panoreel.recorder.errors import ManualStartTimeout, PageRefused, PauseTimeout, SettingRefused
from panoreel.recorder.performance import Performance
from panoreel.recorder.protocol import LimitReached, RecordingOrder, Started, Stopped
from panoreel.recorder.stage import Stage

ALIVE_S: Final = 5.0
"""How often a recording that waits says that it does."""


class Recording:
    """Records one page on `stage`. Reports go to `tell`, which is called from several threads."""

    def __init__(
        self,
        stage: asyncio.Task[Stage],
        order: RecordingOrder,
        controls: Controls,
        tell: Callable[[protocol.Report], None],
    ) -> None:
        self._stage = stage
        self._order = order
        self._controls = controls
        self._tell = tell
        self._performance = Performance(order, controls, tell)

    async def run(self) -> None:
        """Record the page until it is stopped, or reaches the duration limit.

        Raises `CaptureError` when the recording cannot begin or go on; what was captured is sealed then.
        """
        stop = self._controls.stop
        opening = asyncio.create_task(self._open())
        try:
            await _first(opening, stop)
            if not opening.done():
                opening.cancel()
                await asyncio.wait({opening})
                self._tell(Stopped(frames=0, duration_s=0))
                return
            opening.result()
            beside = (self._performance.go_on(), self._refresh(), self._show_life())
            async with _beside(*beside) as accidents:
                if await self._may_begin(accidents):
                    await self._capture(accidents)
                else:
                    self._tell(Stopped(frames=0, duration_s=0))
        finally:
            await self._performance.close()

    async def _open(self) -> None:
        await self._performance.open(await self._stage)

    async def _may_begin(self, accidents: asyncio.Future[Any]) -> bool:
        """Wait until the page has called startRecord, if that is the order, and no pause holds us.

        False when the recording ends before. Raises `ManualStartTimeout`, `PauseTimeout`.
        """
        timeout_s, stop = self._order.start_timeout_s, self._controls.stop
        wanted, resumed = self._controls.wanted, asyncio.create_task(self._controls.allowed())
        try:
            await _first(resumed, stop, accidents, timeout_s=timeout_s or self._order.remaining_s)
        finally:
            resumed.cancel()
        if accidents.done():
            accidents.result()
        if resumed.done() or stop.done():
            return not stop.done()
        if timeout_s is None:
            self._tell(LimitReached())
            return False
        if not wanted.is_set():
            raise ManualStartTimeout(
                f"the page did not call window.startRecord within {timeout_s:g} s; "
                "let it call this function, or start the task without ManualStart"
            )
        raise PauseTimeout(
            f"the recording was paused before its first frame and not resumed within {timeout_s:g} s"
        )

    async def _capture(self, accidents: asyncio.Future[Any]) -> None:
        """From the first picture to the sealed last segment."""
        stop, capture = self._controls.stop, self._performance.capture
        capture.started.add_done_callback(lambda started: self._tell(Started(wall_time=started.result())))
        capture.start()
        ended = asyncio.create_task(capture.ended())
        try:
            # A page that is in trouble has no first picture, perhaps for long.
            await _first(capture.started, stop, accidents, ended, timeout_s=self._order.remaining_s)
            if capture.started.done():
                self._controls.begin(capture)
                await self._performance.begin()
                await _first(stop, accidents, ended)
            if accidents.done():
                accidents.result()
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
            length_s = await self._performance.finish(stop.result() if stop.done() else time.monotonic())
        if not stop.done():
            self._tell(LimitReached())
        self._tell(Stopped(frames=capture.frames, duration_s=length_s))

    async def _refresh(self) -> None:
        """Load the page anew when that is asked for, one time after the other; each request is answered."""
        while True:
            url, count = await self._controls.next_refresh()
            failure = None
            try:
                await self._performance.refresh(url)
            except (PageRefused, SettingRefused) as error:
                failure = Failure(code=error.code, message=str(error))
            for _ in range(count):
                self._tell(protocol.Refreshed(failure=failure))

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_S)
            if self._controls.waiting or self._performance.capture.interrupted:
                self._tell(protocol.Alive())


async def _first(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Future[Any]]:
    """Do endless `work` meanwhile; what is yielded is done when one of it fails, and holds its error."""
    tasks = [asyncio.create_task(one) for one in work]
    failed = asyncio.gather(*tasks)
    try:
        yield failed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(failed, *tasks, return_exceptions=True)
