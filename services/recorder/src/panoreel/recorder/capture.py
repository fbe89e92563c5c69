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

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, SegmentMedia
from panoreel.recorder import h264
from panoreel.recorder.blank import BlankWatch
from panoreel.recorder.clock import SoundTimeline, Take, pts_of
from panoreel.recorder.encoder import SegmentEncoder
from panoreel.recorder.errors import Accident, ProgramFailed
from panoreel.recorder.grabber import Grabber
from panoreel.recorder.measured import Gauge
from panoreel.recorder.pressure import Counts, Pressure
from panoreel.recorder.protocol import RecordingOrder
from panoreel.recorder.sound import SoundServer
from panoreel.recorder.threads import in_thread
from panoreel.recorder.ticker import Ticker

log = logging.getLogger(__name__)

LAST_SOUND_TIMEOUT_S: Final = 2.0
"""How long after the end the sound server may take to deliver what was played before it."""


class Capture:
    """Records what `grabber` sees and `sound` hears, from the first picture to the end, but for pauses.

    Either may break, or show what is to be left out: `interrupt` holds all until `go_on`, as a pause does.
    What is noticed of that here goes to `on_accident`, which is called by the event loop.

    Sound is read from construction on, so that its clock is steady when the first picture comes. The thread
    of the pictures begins and ends the takes, and the sound, which comes later, follows.
    """

    def __init__(
        self,
        order: RecordingOrder,
        grabber: Grabber,
        sound: SoundServer,
        on_sealed: Callable[[Path, SegmentMedia], None],
        on_accident: Callable[[Accident], None],
    ) -> None:
        self.frames = 0
        self.gauge = Gauge(order.encoder.fps)
        self.started: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()
        self._remaining_s = order.remaining_s
        self._tracks = order.encoder.tracks
        self._grabber: Grabber | Ticker = Ticker() if self._tracks == "audio" else grabber
        self._sound = sound
        self._changed = threading.Condition()
        """Guards what follows: both threads and the event loop meet there, none of them for long."""
        self._timeline = SoundTimeline()
        self._take: Take | None = None
        self._next_sample = 0
        self._last_pts = -1
        self._resume_at = -math.inf
        self.intact_until = math.inf
        """The monotonic time at which capture was interrupted, if it is."""
        self._looking = False
        self._on_accident = on_accident
        self._blank = BlankWatch(order.page_policy.blank_after_s)
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
        self._pressure = Pressure(h264.PRESETS)
        self._seeing: asyncio.Future[None] | None = None
        self._threads = [] if self._tracks == "video" else [in_thread(self._hear, "sound")]

    def start(self) -> None:
        """Take the first picture, which is the recording's beginning, and go on from there."""
        self._seeing = in_thread(self._see, "pictures")
        self._threads.append(self._seeing)

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

    @property
    def interrupted(self) -> bool:
        """Whether nothing is captured because it is not what the page shows."""
        return self.intact_until < math.inf

    def interrupt(self, since: float) -> None:
        """Leave out what is shown and played from the monotonic time `since` on, until `go_on`.

        Pictures are dropped even if they were taken, where that is not long ago, and sound is not.
        """
        with self._changed:
            if self.interrupted:
                return
            self.intact_until = since
            if self._take is not None and self._take.end_sample is None and since < self._end:
                first_pts = pts_of(self._take.first_sample)
                self._take.end_after(since, sample=self._timeline.position, pts=first_pts)
            self._limit_pictures()

    async def let_go(self) -> None:
        """Wait until nothing more is asked of the grabber while all is interrupted."""

        def wait() -> None:
            with self._changed:
                self._changed.wait_for(lambda: not self._looking)

        await asyncio.to_thread(wait)

    def go_on(self, grabber: Grabber, sound: SoundServer) -> None:
        """Capture again, with what may be another grabber and sound than before."""
        with self._changed:
            if not isinstance(self._grabber, Ticker):
                self._grabber = grabber
            self._sound = sound
            self.intact_until = math.inf
            self._blank.start_over()
            self._limit_pictures()
            self._changed.notify_all()

    async def ended(self) -> None:
        """Wait until the duration limit has been reached, or something is wrong, which `finish` raises."""
        await asyncio.wait(self._threads, return_when=asyncio.FIRST_COMPLETED)

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
        with self._changed:
            self._sound_end = length
            self._changed.notify_all()
        await asyncio.wait(self._threads, timeout=LAST_SOUND_TIMEOUT_S)
        self._sound_end = 0  # the encoder takes no more
        self.gauge.finish(pts_of(length))
        await asyncio.to_thread(self._encoder.close, pts_of(length))
        if self._grabber.late:
            log.warning("%d of %d pictures were taken late", self._grabber.late, self.frames)
        for thread in self._threads:
            if thread.done():
                thread.result()
        return length / AUDIO_SAMPLE_RATE

    def _see(self) -> None:
        while self._may_see():
            grabber = self._grabber
            grabber.start_over()
            self._pressure.start_over()
            try:
                while (shown := grabber.next()) is not None:
                    if (pts := self._place(shown)) is None:
                        break
                    self._encode(pts)
            except ProgramFailed as error:
                self._break(Accident("display", str(error)))
            self._end_take()

    def _encode(self, pts: int) -> None:
        if isinstance(self._grabber, Ticker):
            self._encoder.tick(pts)
            return
        self.gauge.captured(changed=self._grabber.changed, late_s=self._grabber.late_s)
        self._encoder.video(self._grabber.picture, pts, self._grabber.bands)
        self.gauge.encoded(self._grabber.picture, pts, changed=self._grabber.changed)
        self.frames += 1
        if self._blank.look(self._grabber.picture, pts / VIDEO_TIMESCALE):
            self._tell(Accident("blank", "the page shows nothing but one plain colour"))
        self._ease()

    def _ease(self) -> None:
        """Let the encoder make as much effort as the page needs, and less when it does not keep up."""
        steps, preset = self._pressure.steps, self._pressure.preset
        now = time.monotonic()
        self._pressure.look(Counts(now, self.frames, self._grabber.late, self._encoder.busy_s))
        if self._pressure.preset != preset:
            self._encoder.set_preset(self._pressure.preset)
        if self._pressure.steps > steps:
            log.info("encoding with preset %s from the next segment on", self._pressure.preset)
            self.gauge.stepped()

    def _break(self, accident: Accident) -> None:
        with self._changed:
            if not self.interrupted:  # else that is what broke it, and known
                self.interrupt(time.monotonic())
                self._tell(accident)

    def _tell(self, accident: Accident) -> None:
        self.started.get_loop().call_soon_threadsafe(self._on_accident, accident)

    def _may_see(self) -> bool:
        """Wait for the end of a pause or interruption; whether the recording goes on then."""
        with self._changed:
            self._looking = False
            self._changed.notify_all()
            while (left_s := min(self._allowed_at, self._end) - time.monotonic()) > 0:
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            self._looking = time.monotonic() < self._end
            return self._looking

    @property
    def _allowed_at(self) -> float:
        return math.inf if self.interrupted else self._resume_at

    def _place(self, shown: float) -> int | None:
        """The timestamp of a picture, which may begin a take; None when a pause has come between."""
        with self._changed:
            if shown >= self.intact_until:
                return None
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
        if self._last_pts < 0:
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
            last_pts = self._take.pts_at(self.intact_until) if self.interrupted else math.inf
            self._take = None
            self._limit_pictures()
        discarded = self._encoder.cut(pts_of(self._next_sample), last_pts)
        self.frames -= discarded
        self.gauge.discarded(discarded)

    def _limit_pictures(self) -> None:
        if self.interrupted and not self._looking:
            return  # the grabber may be gone
        self._grabber.end_at(min(self._end, self.intact_until, self._take.end if self._take else math.inf))

    def _hear(self) -> None:
        hearing = True
        while hearing:
            sound = self._sound
            try:
                self._hear_all(sound)
                if sound is self._sound:
                    return
            except ProgramFailed as error:
                if sound is self._sound:
                    self._break(Accident("sound", str(error)))
            with self._changed:
                while sound is self._sound and self._sound_end is None:
                    self._changed.wait()
                hearing = self._sound_end is None
                self._timeline.start_over()

    def _hear_all(self, sound: SoundServer) -> None:
        """Hear until the end of the recording, or until there is another sound to be heard."""
        for samples, stamp in sound.blocks():
            with self._changed:
                if sound is not self._sound:
                    return
                position = self._timeline.position
                if self._sound_end is not None and position >= self._sound_end:
                    return
                placed = self._timeline.add(samples, stamp)
                late_s = self._timeline.late_s
            if len(placed):
                self.gauge.heard(placed, late_s)
                self._encoder.audio(placed, position)

    def _wall_time(self, pts: int) -> datetime:
        assert self._take is not None
        return self._wall_zero + timedelta(seconds=self._take.moment_of(pts))
