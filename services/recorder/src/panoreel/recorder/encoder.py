"""Pictures and samples in, sealed segments out: one encoder run, which is one epoch of a recording."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import hashlib
import io
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from panoreel.contracts.media import (
    AUDIO_FRAME_SAMPLES,
    AUDIO_SAMPLE_RATE,
    SEGMENT_S,
    VIDEO_TIMESCALE,
    EncoderParameters,
    SegmentMedia,
    ticks,
)
from panoreel.recorder.aac import NoSound, SoundEncoder
from panoreel.recorder.bands import Bands
from panoreel.recorder.pictures import PictureEncoder
from panoreel.recorder.segments import seal

AUDIO_FRAME_TICKS: Final = ticks(AUDIO_FRAME_SAMPLES)
"""An audio frame's length on the time scale of the pictures."""

AUDIO_WAIT_S: Final = 1
"""Sound that is this far behind the pictures is taken to be missing, and silence stands for it."""

_FRAGMENTED: Final = {
    # One fragment a file, `tfdt` counting on from segment to segment as if earlier fragments preceded it.
    "movflags": "empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer",
    "use_editlist": "0",
    "video_track_timescale": str(VIDEO_TIMESCALE),
    "avoid_negative_ts": "disabled",
    "fflags": "+bitexact",
}


@dataclass
class _Draft:
    """A segment whose packets are still coming in. Its sound waits in the encoder's queue."""

    index: int
    first_pts: int
    wall_time: datetime
    end_pts: int = 0
    video: list[Packet[VideoStream]] = field(default_factory=list)

    @property
    def first_sample(self) -> int:
        return _audio_grid(self.first_pts)

    @property
    def end_sample(self) -> int:
        return _audio_grid(self.end_pts)


class SegmentEncoder:
    """Encodes one epoch and seals it in segments of 2 to 4 s; one that ends at a cut may be shorter.

    It holds whole keyframe intervals, so that long ones make longer segments. `video`, `tick` and `cut` are
    called from one thread and `audio` from another; all may block for as long as storing a segment takes.
    What goes wrong while sealing is raised by a later call, or by `close`.
    """

    def __init__(
        self,
        parameters: EncoderParameters,
        *,
        epoch: int,
        partial: Path,
        spool: Path,
        wall_clock: Callable[[int], datetime],
        on_sealed: Callable[[Path, SegmentMedia], None],
        preset: str = "veryfast",
    ) -> None:
        """`partial` and `spool` exist, on one file system; `spool` is this epoch's alone.

        `wall_clock` gives the UTC time of the timestamp of the picture at hand, from within `video`;
        `on_sealed` is called from a thread of the encoder's own, segment by segment in order. `preset` is
        x264's and may differ between epochs.
        """
        self._epoch, self._partial, self._spool = epoch, partial, spool
        self._wall_clock, self._on_sealed = wall_clock, on_sealed
        self._keyframe_ticks = round(parameters.keyframe_interval_s * VIDEO_TIMESCALE)
        self._preset = preset
        self._pictures = None if parameters.tracks == "audio" else PictureEncoder(parameters, preset)

        self._lock = Lock()
        self._sound = NoSound() if parameters.tracks == "video" else SoundEncoder(parameters.audio_bitrate)
        self._first_pts, self._last_pts, self._last_key_pts = 0, -1, 0
        self._next_index = 0
        self._open: _Draft | None = None
        self._closed: deque[_Draft] = deque()
        self._sealer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sealer")
        self._sealing: Future[None] | None = None

    @property
    def busy_s(self) -> float:
        """How long the encoding of pictures has taken so far."""
        return self._pictures.busy_s if self._pictures else 0.0

    @property
    def preset(self) -> str:
        """What the open segment is encoded with."""
        return self._pictures.preset if self._pictures else self._preset

    def set_preset(self, preset: str) -> None:
        """Encode from the next segment on with this preset of x264's; to be called from `video`'s thread."""
        self._preset = preset

    def video(self, picture: NDArray[np.uint8], pts: int, changed: Bands | None = None) -> None:
        """Encode a BGRA picture of shape (height, width, 4), rows contiguous; it is not kept.

        It differs from the one before in the `changed` rows at most; None stands for all.

        `pts` is in 90 kHz ticks from the epoch's first picture, which is 0, and strictly increasing, with
        a picture at least every second; the first one after a cut has the cut's. Raises `ValueError` when
        one of these rules or the shape is broken.
        """
        assert self._pictures is not None
        self._check_follows(pts)
        key = self._open is None or pts - self._last_key_pts >= self._keyframe_ticks
        opens = key and self._may_open(pts)
        if opens and self._preset != self.preset:
            self._take(self._pictures.end_run(pts, self._preset))
        self._take(self._pictures.encode(picture, pts, changed=changed, key=key))
        if key:
            self._last_key_pts = pts
        self._go_on(pts, opens)

    def tick(self, pts: int) -> None:
        """Let time pass without a picture, where only sound is recorded; `video` has the rules for `pts`."""
        # Every segment has sound of its own, because it begins on the grid.
        pts -= pts % AUDIO_FRAME_TICKS
        self._check_follows(pts)
        self._go_on(pts, self._may_open(pts))

    def audio(self, samples: NDArray[np.int16], first_sample: int) -> None:
        """Encode 48 kHz stereo `samples` of shape (n, 2).

        `first_sample` counts from the time of the epoch's first picture, and each call continues the one
        before it: what comes before 0 or a second time is dropped, and silence stands for what is missing.
        """
        with self._lock:
            self._sound.add(samples, first_sample)
            self._seal_complete()

    def cut(self, end_pts: int, last_pts: float = math.inf) -> int:
        """End the open segment at `end_pts`, a multiple of 1920 ticks, until when the last picture is shown.

        It is sealed as soon as its sound is there, without a look at what follows, whenever that comes.
        Sound fades out and in there as between two epochs. Pictures after `last_pts` are dropped as far as
        their segments are not sealed, save for the first one of the earliest; returns how many.
        """
        if self._pictures:
            self._take(self._pictures.end_run(end_pts))
        self._first_pts = end_pts
        with self._lock:
            dropped = self._drop_after(last_pts, end_pts)
            self._last_pts = min(self._last_pts, end_pts - 1)  # ticks may have gone further
            self._end_segment(end_pts)
            self._sound.end_run(_audio_grid(end_pts))
            self._seal_complete()
        return dropped

    def close(self, end_pts: int) -> None:
        """End the epoch at `end_pts`, until when the last picture is shown, and seal what is left.

        Sound ends with the audio frame that `end_pts` lies in, cut or padded with silence. To be called
        once, when the other methods are called no more.
        """
        try:
            if self._open is not None:
                self.cut(max(end_pts, self._last_pts + 1))
            if self._closed:
                with self._lock:
                    self._sound.silence_until(self._closed[-1].end_sample)
                    self._seal_complete()
            if self._sealing:
                self._sealing.result()
        finally:
            self._sealer.shutdown()

    def _check_follows(self, pts: int) -> None:
        if pts <= self._last_pts or (self._open is None and pts != self._first_pts):
            raise ValueError(f"timestamp {pts} after {self._last_pts}")

    def _may_open(self, pts: int) -> bool:
        return self._open is None or pts - self._open.first_pts >= SEGMENT_S * VIDEO_TIMESCALE

    def _take(self, packets: list[Packet[VideoStream]]) -> None:
        """Put a picture into its segment, now that its duration is known."""
        if self._open is not None:
            self._open.video += packets

    def _go_on(self, pts: int, opens: bool) -> None:
        self._last_pts = pts
        with self._lock:
            if opens:
                self._end_segment(pts)
                self._open = _Draft(self._next_index, pts, self._wall_clock(pts))
                self._next_index += 1
            silent_until = (pts - AUDIO_WAIT_S * VIDEO_TIMESCALE) * AUDIO_SAMPLE_RATE // VIDEO_TIMESCALE
            self._sound.silence_until(silent_until)
            self._seal_complete()

    def _drop_after(self, last_pts: float, end_pts: int) -> int:
        dropped = 0
        while self._open and self._open.first_pts > last_pts and self._closed:
            dropped += len(self._open.video)
            self._open = self._closed.pop()
            self._next_index = self._open.index + 1
        if self._open and (pictures := self._open.video):
            # Each picture is told by what changed since those before it: the last ones can be left out.
            while len(pictures) > 1 and pictures[-1].pts is not None and pictures[-1].pts > last_pts:
                pictures.pop()
                dropped += 1
            self._last_pts = pictures[-1].pts or 0
            pictures[-1].duration = end_pts - self._last_pts
        return dropped

    def _end_segment(self, end_pts: int) -> None:
        if self._open is not None:
            self._open.end_pts = end_pts
            self._closed.append(self._open)
            self._open = None

    def _seal_complete(self) -> None:
        """Hand over what is complete, one segment at a time: a slow disk must not fill the memory."""
        while self._closed and self._sound.complete_until >= self._closed[0].end_sample:
            draft = self._closed.popleft()
            audio = self._sound.take((draft.end_sample - draft.first_sample) // AUDIO_FRAME_SAMPLES)
            if self._sealing:
                self._sealing.result()
            self._sealing = self._sealer.submit(self._seal, draft, audio)

    def _seal(self, draft: _Draft, audio: list[Packet[AudioStream]]) -> None:
        content = self._mux(draft.video, audio)
        media = SegmentMedia(
            epoch=self._epoch,
            index=draft.index,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            first_pts=draft.first_pts,
            end_pts=draft.end_pts,
            first_sample=draft.first_sample,
            end_sample=draft.end_sample,
            frames=len(draft.video),
            wall_time=draft.wall_time,
        )
        self._on_sealed(seal(content, media, partial=self._partial, spool=self._spool), media)

    def _mux(self, video: list[Packet[VideoStream]], audio: list[Packet[AudioStream]]) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4", container_options=_FRAGMENTED) as container:
            if self._pictures:
                video_stream = container.add_stream_from_template(self._pictures.stream, opaque=True)
            if self._sound.stream:
                audio_stream = container.add_stream_from_template(self._sound.stream, opaque=True)
            for picture in video:
                picture.stream = video_stream
                container.mux(picture)
            for sound in audio:
                sound.stream = audio_stream
                container.mux(sound)
        return file.getvalue()


def _audio_grid(pts: int) -> int:
    """The first audio frame's start, in samples, that does not lie before the video timestamp `pts`."""
    return -(-pts // AUDIO_FRAME_TICKS) * AUDIO_FRAME_SAMPLES
