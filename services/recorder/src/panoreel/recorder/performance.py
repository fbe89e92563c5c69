"""A page on its stage, shown and captured for as long as it is wanted, whatever breaks meanwhile.

What broke is set up anew, a page that shows no content is loaded again, and what was to be seen until then is
left out: the loss is told. Nobody else needs to know that the stage has changed.
"""

from __future__ import annotations  # what takes long to load is loaded while the programs start

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from panoreel.contracts.events import Program, Remedy, Trouble
from panoreel.contracts.media import SegmentMedia
from panoreel.recorder import protocol
from panoreel.recorder.controls import Controls
from panoreel.recorder.errors import Accident, PageCrashed, PageError, PageRefused, ProgramFailed
from panoreel.recorder.patience import GIVE_UP_S, MOST_ACCIDENTS, Patience
from panoreel.recorder.privileges import reap_orphans
from panoreel.recorder.protocol import (
    Interrupted,
    Measured,
    RecordingOrder,
    Restored,
    SegmentSealed,
    Troubled,
)
from panoreel.recorder.segments import keep_quality
from panoreel.recorder.stage import Stage

if TYPE_CHECKING:
    from panoreel.recorder.capture import Capture
    from panoreel.recorder.page import RecordedPage

log = logging.getLogger(__name__)

NOTICED_LATE_S: Final = 0.2
"""What is captured is in doubt for so long before an accident is noticed: the browser may have drawn already
that the page crashed, or an error page."""

BREAKING: Final = ("browser", "display", "sound", "crashed")
"""After these the stage is of no use any more."""

TELL_AGAIN_S: Final = 60.0
"""The same trouble is told once in so long, when nothing is done about it: a page must not fill the log."""

LOOK_AGAIN_S: Final = 0.1


class Performance:
    """Begins on a stage that is given to it, and takes down on `close` those that it has set after that."""

    capture: Capture
    _page: RecordedPage

    def __init__(
        self, order: RecordingOrder, controls: Controls, tell: Callable[[protocol.Report], None]
    ) -> None:
        self._order = order
        self._controls = controls
        self._tell = tell
        self._stage: Stage | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._accidents: asyncio.Queue[Accident] = asyncio.Queue()
        self._broken: Accident | None = None
        """Why another stage must be set."""
        self._gap: _Gap | None = None
        """What is lost at present."""
        self._patience = Patience()
        self._told_at: dict[str, float] = {}
        self._turn = asyncio.Lock()
        """Held by whoever has the page loaded again, or another stage set: one would break off the other."""
        self._woken = asyncio.Event()
        """There is no need any more to wait with that."""

    async def open(self, stage: Stage) -> None:
        """Have the page on the screen, ready for its first picture; raises `CaptureError`."""
        from panoreel.recorder.capture import Capture

        self._stage = stage
        self.capture = Capture(self._order, stage.grabber, stage.sound, self._sealed, self._notice)
        await self._show(stage)

    async def begin(self) -> None:
        """The first picture has been captured."""
        await self._page.begin()

    async def refresh(self, url: str | None) -> None:
        """Load the page again, or `url` instead; raises `PageRefused`, and then all stays as it is."""
        while True:
            try:
                async with self._turn:
                    await self._page.refresh(url, self._order.load_timeout_s)
                self._order = self._order.model_copy(update={"record_url": url or self._order.record_url})
                self._woken.set()
                return
            except PageCrashed:  # which `go_on` learns in another way
                await asyncio.sleep(LOOK_AGAIN_S)

    async def go_on(self) -> None:
        """Mend whatever breaks; raises `CaptureError` when that is of no use."""
        while True:
            accident = await self._accidents.get()
            if self._is_to_be_mended(accident):
                await self._mend(accident)

    async def finish(self, end: float) -> float:
        """End the capture at the monotonic time `end`, and tell how it went; all else as `Capture.finish`."""
        try:
            return await self.capture.finish(end)
        finally:
            self._end_gap(end)
            if self.capture.started.done():
                self._tell(Measured(quality=self.capture.gauge.quality()))

    async def close(self) -> None:
        """Take down what was set up here."""
        if self._watching:
            self._watching.cancel()
        if self._stage and self._stage.number > 1:
            self._closing.add(asyncio.create_task(self._stage.__aexit__()))
        for outcome in await asyncio.gather(*self._closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                log.error("a stage was not taken down: %s", type(outcome).__name__)

    def _sealed(self, path: Path, media: SegmentMedia) -> None:
        quality = self.capture.gauge.quality()
        keep_quality(quality, path.parent)
        self._tell(SegmentSealed(path=path, media=media))
        self._tell(Measured(quality=quality))

    def _notice(self, accident: Accident) -> None:
        """Capture nothing more, if need be, and see about the rest later."""
        if accident.cause in BREAKING:
            self._broken = accident
            self._woken.set()
        if self._remedy(accident) != "continue":
            late_s = 0.0 if accident.cause == "blank" else NOTICED_LATE_S
            self.capture.interrupt(time.monotonic() - late_s)
        self._accidents.put_nowait(accident)

    def _remedy(self, accident: Accident) -> Remedy:
        policy = self._order.page_policy
        match accident.cause:
            case "http_error" | "network_error" | "certificate_error":
                return policy.on_error
            case "blank":
                return policy.on_blank
            case "crashed" if policy.on_error == "fail":
                return "fail"
            case _:
                return "reload"  # there is nothing to go on with

    def _is_to_be_mended(self, accident: Accident) -> bool:
        """Tell what the page is up to, but not too often; raises `PageError` when that is the end."""
        remedy, now = self._remedy(accident), time.monotonic()
        if accident.cause in get_args(Trouble):
            if remedy == "continue" and now - self._told_at.get(accident.cause, -inf) < TELL_AGAIN_S:
                return False
            self._told_at[accident.cause] = now
            words = {"trouble": accident.cause, "remedy": remedy, "message": str(accident)}
            self._tell(Troubled.model_validate(words | {"wall_time": datetime.now(UTC)}))
        if remedy == "fail":
            raise PageError(str(accident))
        return remedy == "reload"

    async def _mend(self, accident: Accident) -> None:
        """Have the page shown and captured again, and tell what was lost meanwhile."""
        started = self.capture.started.done()
        if self._broken and not started:
            raise self._broken
        if started:
            self._begin_gap(accident)
        log.warning("%s; capture is set up again", accident)
        # A blank page is noticed when it has been so for a while.
        unnoticed_s = self._order.page_policy.blank_after_s if accident.cause == "blank" else 0
        self._patience.trouble(time.monotonic() - (unnoticed_s or 0))
        await self.capture.let_go()
        while not await self._is_shown_again(accident):
            pass
        assert self._stage
        self.capture.go_on(self._stage.grabber, self._stage.sound)
        now = time.monotonic()
        self._patience.well(now)
        self._end_gap(now)
        if started:
            await self._page.begin()

    def _begin_gap(self, accident: Accident) -> None:
        began = self.capture.intact_until
        wall_time = datetime.now(UTC) - timedelta(seconds=time.monotonic() - began)
        self._gap = _Gap(accident.cause, began, wall_time)
        self._tell(Interrupted(cause=accident.cause, message=str(accident), wall_time=wall_time))

    def _end_gap(self, at: float) -> None:
        """Tell what was lost until the monotonic time `at`, if anything is."""
        if (gap := self._gap) is None:
            return
        self._gap = None
        at = max(gap.began, at)
        if (lost_s := self._controls.unpaused_s(gap.began, at)) > 0:
            self.capture.gauge.interrupted(lost_s)
        ended = gap.wall_time + timedelta(seconds=at - gap.began)
        self._tell(Restored(cause=gap.cause, began=gap.wall_time, ended=ended))

    async def _is_shown_again(self, accident: Accident) -> bool:
        """Try once; raises `CaptureError` when enough was tried."""
        while not self._accidents.empty():
            self._accidents.get_nowait()  # it is being mended
        if self._broken:
            self._bear(self._broken)
        try:
            if self._broken:
                await self._change_stage()
            else:
                await self._load_again(accident)
        except PageRefused as error:
            log.info("the page is not shown: %s", error)
            if self._order.page_policy.on_error == "fail":
                raise PageError(str(error)) from error
            return False
        except Accident as another:
            self._broken = self._broken or another
        except (PageCrashed, ProgramFailed) as error:
            self._broken = self._broken or Accident("browser", str(error))
        return not self._broken and self._accidents.empty()

    def _bear(self, broken: Accident) -> None:
        """Raise `CaptureError` when it is not the first time of late."""
        if self._patience.bears_accident(time.monotonic()):
            return
        if broken.cause == "crashed":
            raise PageError(f"the page crashed {MOST_ACCIDENTS} times within a minute")
        raise broken

    async def _change_stage(self) -> None:
        """Show the page on another stage, while the one before is taken down."""
        assert self._stage
        assert self._watching
        self._watching.cancel()
        self._closing.add(asyncio.create_task(_take_down(self._stage)))
        self._broken = None
        self._stage = self._stage.another()
        async with self._turn:
            await self._stage.__aenter__()
            await self._show(self._stage)

    async def _load_again(self, accident: Accident) -> None:
        pause_s = self._patience.next_pause_s(time.monotonic())
        if pause_s is None:
            raise PageError(f"{accident}; it was loaded again and again, for {GIVE_UP_S / 60:g} minutes")
        self._woken.clear()
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            async with self._turn:
                await self._page.refresh(None, self._order.load_timeout_s)

    async def _show(self, stage: Stage) -> None:
        order = self._order
        self._page = await stage.prepare(order, self._controls, self._notice)
        self._watching = asyncio.create_task(self._watch(stage))
        await self._page.open(order.load_timeout_s, bear_errors=order.page_policy.on_error == "continue")

    async def _watch(self, stage: Stage) -> None:
        try:
            await stage.ended()
        except Accident as accident:
            self._notice(accident)


@dataclass(frozen=True)
class _Gap:
    """What `cause` costs from the monotonic time `began` on, which is `wall_time`."""

    cause: Program | Trouble
    began: float
    wall_time: datetime


async def _take_down(stage: Stage) -> None:
    await stage.__aexit__()
    reap_orphans()
