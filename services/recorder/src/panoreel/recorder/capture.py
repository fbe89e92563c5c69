"""Pictures and sound of a page on their way into the encoder, a thread each."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, SegmentMedia
from panoreel.recorder.clock import SoundTimeline, Take, pts_of
from panoreel.recorder.encoder import SegmentEncoder
from panoreel.recorder.grabber import Grabber
from panoreel.recorder.protocol import RecordingOrder
from panoreel.recorder.sound import SoundServer

log = logging.getLogger(__name__)

LAST_SOUND_TIMEOUT_S: Final = 2.0
"""How long after the end the sound server may take to deliver what was played before it."""


class Capture:
    """Records what `grabber` sees and `sound` hears, from the first picture to the end, but for pauses.

    Sound is read from construction on, so that its clock is steady when the first picture comes. The thread
    of the pictures begins and ends the takes, and the sound, which comes later, follows.
    """

    def __init__(
        self,
        order: RecordingOrder,
        grabber: Grabber,
        sound: SoundServer,
        on_sealed: Callable[[Path, SegmentMedia], None],
    ) -> None:
        self.frames = 0
        self.started: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()
        self._remaining_s = order.remaining_s
        self._grabber = grabber
        self._sound = sound
        self._changed = threading.Condition()
        """Guards what follows: both threads and the event loop meet there, none of them for long."""
        self._timeline = SoundTimeline()
        self._take: Take | None = None
        self._next_sample = 0
        self._last_pts = -1
        self._resume_at = -math.inf
        self._end = math.inf
        self._sound_end: int | None = None
        self._wall_zero = datetime.now(UTC)
        partial = order.spool / "partial"
        partial.mkdir(exist_ok=True)
        self._encoder = SegmentEncoder(
            order.encoder,
            epoch=order.epoch,
            partial=partial,
            spool=order.spool,
            wall_clock=self._wall_time,
            on_sealed=on_sealed,
        )
        self._hearing = _in_thread(self._hear, "sound")
        self._seeing: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Take the first picture, which is the recording's beginning, and go on from there."""
        self._seeing = _in_thread(self._see, "pictures")

    def pause(self, at: float) -> None:
        """Leave out what is shown and played from the monotonic time `at` on, until `resume`.

        Sound can only be cut every 21 ms: so much later, at most, it happens. What was captured is sealed.
        """
        with self._changed:
            self._resume_at = math.inf
            if self._take is not None and self._take.end_sample is None and at < self._end:
                self._take.end_after(at, sample=self._timeline.position, pts=self._last_pts)
                self._limit_pictures()

    def resume(self, at: float) -> None:
        """Go on at the monotonic time `at` with a picture that follows directly on the last before the pause.

        It is taken whether or not the page draws anything.
        """
        with self._changed:
            self._resume_at = min(self._resume_at, at)
            self._changed.notify_all()

    async def ended(self) -> None:
        """Wait until the duration limit has been reached, or something is wrong, which `finish` raises."""
        assert self._seeing is not None
        await asyncio.wait({self._seeing, self._hearing}, return_when=asyncio.FIRST_COMPLETED)

    async def finish(self, end: float) -> float:
        """End the recording at the monotonic time `end`, at its limit or in a pause before, and seal it all.

        Returns its length in seconds; raises what broke either thread, but only when all is sealed.
        """
        assert self._seeing is not None
        with self._changed:
            self._end = min(self._end, end)
            self._limit_pictures()
            self._changed.notify_all()
        await asyncio.wait({self._seeing})
        length = self._next_sample if self._take is None else self._take.sample_at(self._end)
        self._sound_end = length
        await asyncio.wait({self._hearing}, timeout=LAST_SOUND_TIMEOUT_S)
        self._sound_end = 0  # the encoder takes no more
        await asyncio.to_thread(self._encoder.close, pts_of(length))
        if self._grabber.late:
            log.warning("%d of %d pictures were taken late", self._grabber.late, self.frames)
        for thread in (self._seeing, self._hearing):
            if thread.done():
                thread.result()
        return length / AUDIO_SAMPLE_RATE

    def _see(self) -> None:
        while self._may_see():
            self._grabber.start_over()
            while (shown := self._grabber.next()) is not None:
                if (pts := self._place(shown)) is None:
                    break
                self._encoder.video(self._grabber.picture, pts)
                self.frames += 1
            self._end_take()

    def _may_see(self) -> bool:
        """Wait for the end of a pause; whether the recording goes on then."""
        with self._changed:
            while (left_s := min(self._resume_at, self._end) - time.monotonic()) > 0:
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            return time.monotonic() < self._end

    def _place(self, shown: float) -> int | None:
        """The timestamp of a picture, which may begin a take; None when a pause has come between."""
        with self._changed:
            if self._take is None:
                if shown < self._resume_at:
                    return None
                self._begin_take(shown)
            assert self._take is not None
            pts = self._take.pts_at(shown)
            if self._take.end_sample is not None and pts >= pts_of(self._take.end_sample):
                return None
            self._last_pts = pts
            return pts

    def _begin_take(self, shown: float) -> None:
        self._wall_zero = datetime.now(UTC) - timedelta(seconds=time.monotonic())
        self._take = Take(shown, self._next_sample)
        self._timeline.begin(self._take)
        if self.frames == 0:
            self._end = min(self._end, shown + self._remaining_s)
            wall_time = self._wall_zero + timedelta(seconds=shown)
            self.started.get_loop().call_soon_threadsafe(self.started.set_result, wall_time)
        self._limit_pictures()

    def _end_take(self) -> None:
        """Have what was captured sealed when a pause begins; at the end of all, `finish` does that."""
        with self._changed:
            if self._take is None or self._take.end_sample is None or self._take.end > self._end:
                return
            self._next_sample = self._take.end_sample
            self._take = None
            self._limit_pictures()
        self._encoder.cut(pts_of(self._next_sample))

    def _limit_pictures(self) -> None:
        self._grabber.end_at(min(self._end, self._take.end if self._take else math.inf))

    def _hear(self) -> None:
        for samples, stamp in self._sound.blocks():
            with self._changed:
                position = self._timeline.position
                if self._sound_end is not None and position >= self._sound_end:
                    return
                placed = self._timeline.add(samples, stamp)
            if len(placed):
                self._encoder.audio(placed, position)

    def _wall_time(self, pts: int) -> datetime:
        assert self._take is not None
        return self._wall_zero + timedelta(seconds=self._take.moment_of(pts))


def _in_thread(work: Callable[[], None], name: str) -> asyncio.Future[None]:
    """Run `work` in a thread that does not keep the process from exiting."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[None] = loop.create_future()
    outcome.add_done_callback(lambda done: done.exception())  # it may be of no interest to anybody

    def tell(error: BaseException | None) -> None:
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except Exception as caught:  # noqa: BLE001  handed over to whoever awaits the outcome
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
