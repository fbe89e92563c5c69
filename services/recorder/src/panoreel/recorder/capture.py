"""Pictures and sound of a page on their way into the encoder, a thread each."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, SegmentMedia
from panoreel.recorder.clock import SoundTimeline
from panoreel.recorder.encoder import SegmentEncoder
from panoreel.recorder.grabber import Grabber
from panoreel.recorder.protocol import RecordingOrder
from panoreel.recorder.sound import SoundServer

log = logging.getLogger(__name__)

LAST_SOUND_TIMEOUT_S: Final = 2.0
"""How long after the end the sound server may take to deliver what was played before it."""


class Capture:
    """Records what `grabber` sees and `sound` hears, from the first picture to the end.

    Sound is read from construction on, so that its clock is steady when the first picture comes.
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
        self._timeline = SoundTimeline()
        self._start = 0.0
        self._end_sample: int | None = None
        self._wall_start = datetime.now(UTC)
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

    async def ended(self) -> None:
        """Wait until the duration limit has been reached, or something is wrong, which `finish` raises."""
        assert self._seeing is not None
        await asyncio.wait({self._seeing, self._hearing}, return_when=asyncio.FIRST_COMPLETED)

    async def finish(self, end: float) -> float:
        """End the recording at the monotonic time `end`, or at its limit before, and seal what is open.

        Returns its length in seconds; raises what broke either thread, but only when all is sealed.
        """
        assert self._seeing is not None
        self._grabber.end_at(end)
        await asyncio.wait({self._seeing})
        length_s = max(0.0, self._grabber.end - self._start) if self.frames else 0.0
        self._end_sample = round(length_s * AUDIO_SAMPLE_RATE)
        await asyncio.wait({self._hearing}, timeout=LAST_SOUND_TIMEOUT_S)
        self._end_sample = 0  # the encoder takes no more
        await asyncio.to_thread(self._encoder.close, round(length_s * VIDEO_TIMESCALE))
        if self._grabber.late:
            log.warning("%d of %d pictures were taken late", self._grabber.late, self.frames)
        for thread in (self._seeing, self._hearing):
            if thread.done():
                thread.result()
        return length_s

    def _see(self) -> None:
        while (shown := self._grabber.next()) is not None:
            if self.frames == 0:
                self._begin(shown)
            pts = round((shown - self._start) * VIDEO_TIMESCALE)
            self._encoder.video(self._grabber.picture, pts)
            self.frames += 1

    def _begin(self, shown: float) -> None:
        self._start = shown
        self._wall_start = datetime.now(UTC) - timedelta(seconds=time.monotonic() - shown)
        self._grabber.end_at(shown + self._remaining_s)
        self._timeline.begin(shown)
        self.started.get_loop().call_soon_threadsafe(self.started.set_result, self._wall_start)

    def _hear(self) -> None:
        for samples, stamp in self._sound.blocks():
            position = self._timeline.position
            if self._end_sample is not None and position >= self._end_sample:
                return
            placed = self._timeline.add(samples, stamp)
            if len(placed):
                self._encoder.audio(placed, position)

    def _wall_time(self, pts: int) -> datetime:
        return self._wall_start + timedelta(seconds=pts / VIDEO_TIMESCALE)


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
