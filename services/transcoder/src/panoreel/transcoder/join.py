"""Joining segments into one MP4 without encoding anything anew."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, Segment
from panoreel.transcoder.errors import NothingRecorded, ParameterSetsDiffer, SegmentDamaged
from panoreel.transcoder.timeline import Stretch, Timeline

_MP4: Final = {
    "movflags": "faststart",
    "video_track_timescale": str(VIDEO_TIMESCALE),
    # Both tracks begin at 0 and nothing is to be skipped.
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
    "fflags": "+bitexact",
}


@dataclass(frozen=True)
class JoinedFile:
    """A complete MP4, both tracks beginning at 0."""

    bytes: int
    sha256: str
    duration_s: float
    frames: int


def join(timeline: Timeline, locate: Callable[[Segment], Path], output: Path) -> JoinedFile:
    """Write the timeline's media to `output`, with the index in front.

    `locate` gives the file of a segment. One segment at a time is in memory, besides the index.

    Where one encoder run follows another, the sound needs no treatment: the decoder adds the second half
    of each window to the first half of the next (ISO/IEC 14496-3, 4.6.11). The old run's last window thus
    fades out while the new run's first, whose priming was dropped, fades in, within one audio frame.

    Raises:
        NothingRecorded: the timeline is empty.
        SegmentDamaged: a segment's checksum differs from the announced one.
        ParameterSetsDiffer: two segments were encoded with different settings.
    """
    if not timeline.stretches:
        raise NothingRecorded
    first = timeline.stretches[0].segments[0]
    with av.open(str(output), "w", format="mp4", container_options=_MP4) as container:
        with _opened(first, locate) as template:
            tracks = _Tracks(container, template)
        for stretch in timeline.stretches:
            tracks.begin(stretch)
            for segment in stretch.segments:
                with _opened(segment, locate) as source:
                    tracks.append(source)
        tracks.finish()
    with output.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    duration_s = timeline.samples / AUDIO_SAMPLE_RATE
    return JoinedFile(output.stat().st_size, sha256, duration_s, tracks.frames)


class _Tracks:
    """The output's sound and pictures, taken over packet by packet from one stretch after the other."""

    def __init__(self, container: OutputContainer, template: InputContainer) -> None:
        self.frames = 0
        self._container = container
        self._video = container.add_stream_from_template(template.streams.video[0], opaque=True)
        self._audio = container.add_stream_from_template(template.streams.audio[0], opaque=True)
        container.start_encoding()
        self._parameter_sets = _parameter_sets(template)
        self._stretch: Stretch
        self._held: Packet[Stream] | None = None

    def begin(self, stretch: Stretch) -> None:
        self._stretch = stretch

    def append(self, source: InputContainer) -> None:
        """Copy a segment of the present stretch."""
        if _parameter_sets(source) != self._parameter_sets:
            raise ParameterSetsDiffer
        for packet in source.demux():
            if packet.pts is None:  # the demuxer's sign for the end
                continue
            if packet.stream.type == "video":
                self._append_picture(packet, packet.pts)
            else:
                packet.pts += self._stretch.output_sample - self._stretch.first_sample
                packet.dts = packet.pts
                packet.stream = self._audio
                self._container.mux(packet)

    def finish(self) -> None:
        """Show the last picture until the end of the sound."""
        self._release(_ticks(self._stretch.output_end))

    def _append_picture(self, packet: Packet[Stream], pts: int) -> None:
        """Hold `packet` back until it is known how long it is shown.

        A stretch begins and ends on the audio grid: its first picture is moved to its beginning, by less
        than an audio frame, and what would come after its end is left out.
        """
        pts = max(pts + _ticks(self._stretch.output_sample - self._stretch.first_sample), self._earliest())
        if pts >= _ticks(self._stretch.output_end):
            return
        self._release(pts)
        packet.pts = packet.dts = pts
        packet.stream = self._video
        self._held = packet
        self.frames += 1

    def _earliest(self) -> int:
        begin = _ticks(self._stretch.output_sample)
        return begin if self._held is None or self._held.pts is None else max(begin, self._held.pts + 1)

    def _release(self, next_pts: int) -> None:
        if self._held is not None and self._held.pts is not None:
            self._held.duration = next_pts - self._held.pts
            self._container.mux(self._held)


def _opened(segment: Segment, locate: Callable[[Segment], Path]) -> InputContainer:
    content = locate(segment).read_bytes()
    if hashlib.sha256(content).hexdigest() != segment.sha256:
        raise SegmentDamaged(f"segment {segment.index} of epoch {segment.epoch} is damaged")
    return av.open(io.BytesIO(content), "r", format="mp4")


def _parameter_sets(container: InputContainer) -> tuple[bytes | None, bytes | None]:
    """SPS and PPS as in `avcC` (ISO/IEC 14496-15, 5.3.3), and the AudioSpecificConfig."""
    video, audio = container.streams.video[0], container.streams.audio[0]
    return video.codec_context.extradata, audio.codec_context.extradata


def _ticks(samples: int) -> int:
    """Video ticks, exact on the audio grid: an audio frame is 1920 of them."""
    return samples * VIDEO_TIMESCALE // AUDIO_SAMPLE_RATE
