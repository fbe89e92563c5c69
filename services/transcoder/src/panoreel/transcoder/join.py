"""Joining segments into one MP4 without encoding anything anew."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, Segment
from panoreel.contracts.timeline import Stretch, Timeline
from panoreel.transcoder.errors import NothingRecorded, ParameterSetsDiffer, SegmentDamaged

_MP4: Final = {
    "movflags": "faststart",
    "video_track_timescale": str(VIDEO_TIMESCALE),
    # All tracks begin at 0 and nothing is to be skipped.
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
    "fflags": "+bitexact",
}


@dataclass(frozen=True)
class JoinedFile:
    """A complete MP4, its tracks beginning at 0."""

    bytes: int
    sha256: str
    duration_s: float
    frames: int


def join(timeline: Timeline, read: Callable[[Segment], bytes], output: Path) -> JoinedFile:
    """Write the timeline's media to `output`, with the index in front.

    `read` gives the content of a segment. A few segments at a time are in memory, besides the index.

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
    contents = _Contents(read)
    with av.open(str(output), "w", format="mp4", container_options=_MP4) as container:
        tracks = _Tracks(container)
        for stretch in timeline.stretches:
            with av.open(_StretchFile(contents.of(stretch)), "r", format="mp4") as source:
                tracks.append(stretch, source)
        tracks.finish(timeline.samples)
    with output.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    duration_s = timeline.samples / AUDIO_SAMPLE_RATE
    return JoinedFile(output.stat().st_size, sha256, duration_s, tracks.frames)


class _Contents:
    """Reads segments, and makes sure that all of them belong together."""

    def __init__(self, read: Callable[[Segment], bytes]) -> None:
        self._read = read
        self._header = b""

    def of(self, stretch: Stretch) -> Iterator[bytes]:
        """One fragmented MP4 in pieces: a header, then each segment's fragment.

        The header holds SPS and PPS (ISO/IEC 14496-15, 5.3.3) and the AudioSpecificConfig. Decoders take
        one for a whole track, so that it has to be the same, byte for byte, in all segments.
        """
        for segment in stretch.segments:
            content = self._read(segment)
            if hashlib.sha256(content).hexdigest() != segment.sha256:
                raise SegmentDamaged(f"segment {segment.index} of epoch {segment.epoch} is damaged")
            fragment = _fragment_position(content)
            self._header = self._header or content[:fragment]
            if content[:fragment] != self._header:
                raise ParameterSetsDiffer
            yield content[0 if segment is stretch.segments[0] else fragment :]


class _StretchFile:
    """Pieces of a file as what PyAV reads: opening each segment by itself would take 10 ms for probing."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = io.BytesIO()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        content = self._piece.read(size)
        if not content:
            self._piece = io.BytesIO(next(self._pieces, b""))
            content = self._piece.read(size)
        return content


class _Tracks:
    """The output's sound and pictures, taken over packet by packet from one stretch after the other.

    There are as many tracks as the segments have, and in their order: one of pictures, of sound, or both.
    """

    def __init__(self, container: OutputContainer) -> None:
        self.frames = 0
        self._container = container
        self._held: Packet[Stream] | None = None

    def append(self, stretch: Stretch, source: InputContainer) -> None:
        if not self._container.streams:
            for track in source.streams:
                self._container.add_stream_from_template(track, opaque=True)
        for packet in source.demux():
            if packet.pts is None:  # the demuxer's sign for the end
                continue
            if packet.stream.type == "video":
                self._append_picture(stretch, packet, packet.pts)
            else:
                packet.pts += stretch.output_sample - stretch.first_sample
                packet.dts = packet.pts
                packet.stream = self._container.streams.audio[0]
                self._container.mux(packet)

    def finish(self, samples: int) -> None:
        """Show the last picture until the end."""
        self._release(_ticks(samples))

    def _append_picture(self, stretch: Stretch, packet: Packet[Stream], pts: int) -> None:
        """Hold `packet` back until it is known how long it is shown.

        A stretch begins and ends on the audio grid: its first picture is moved to its beginning, by less
        than an audio frame, and what would come after its end is left out.
        """
        pts = max(pts + _ticks(stretch.output_sample - stretch.first_sample), _ticks(stretch.output_sample))
        if self._held is not None and self._held.pts is not None:
            pts = max(pts, self._held.pts + 1)
        if pts >= _ticks(stretch.output_end):
            return
        self._release(pts)
        packet.pts = packet.dts = pts
        packet.stream = self._container.streams.video[0]
        self._held = packet
        self.frames += 1

    def _release(self, next_pts: int) -> None:
        if self._held is not None and self._held.pts is not None:
            self._held.duration = next_pts - self._held.pts
            self._container.mux(self._held)


def _fragment_position(content: bytes) -> int:
    """Where the header ends and the first fragment begins: ISO/IEC 14496-12, 4.2 and 8.8."""
    position = 0
    while content[position + 4 : position + 8] != b"moof":
        size = int.from_bytes(content[position : position + 4], "big")
        if size < 8:
            raise SegmentDamaged("a segment holds no fragment")
        position += size
    return position


def _ticks(samples: int) -> int:
    """Video ticks, exact on the audio grid: an audio frame is 1920 of them."""
    return samples * VIDEO_TIMESCALE // AUDIO_SAMPLE_RATE
