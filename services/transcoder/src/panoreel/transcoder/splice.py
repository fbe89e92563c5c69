"""Writing a clip: media is copied as it is, but for the pictures before the first keyframe of each part."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, EncoderParameters, ticks
from panoreel.transcoder.cut import Clip, Cut
from panoreel.transcoder.errors import ParameterSetsDiffer
from panoreel.transcoder.reencode import reencoded
from panoreel.transcoder.source import Read, opened

_MP4: Final = {
    "movflags": "faststart",
    "video_track_timescale": str(VIDEO_TIMESCALE),
    # All tracks begin at 0 and nothing is to be skipped.
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
    "fflags": "+bitexact",
}

_SEGMENTS_AT_ONCE: Final = 4
"""So many are in memory."""


@dataclass(frozen=True)
class SplicedFile:
    """A complete MP4, its tracks beginning at 0."""

    bytes: int
    sha256: str
    duration_s: float
    frames: int


def splice(clip: Clip, read: Read, encoder: EncoderParameters, output: Path) -> SplicedFile:
    """Write `clip` to `output`, with the index in front. `encoder` is what the recording was encoded with.

    A part that begins at a keyframe is copied as a whole. Otherwise the pictures up to the next keyframe are
    encoded anew. No picture refers to a later one, so that the end of a part needs no such thing.

    Raises:
        SegmentDamaged: a segment's checksum differs from the announced one.
        ParameterSetsDiffer: segments, or what was encoded anew, cannot share one track.
    """
    with av.open(str(output), "w", format="mp4", container_options=_MP4) as container:
        tracks = _Tracks(container)
        for cut in clip.cuts:
            pictures = _Pictures(cut, encoder)
            for first in range(0, len(cut.segments), _SEGMENTS_AT_ONCE):
                with opened(cut.segments[first : first + _SEGMENTS_AT_ONCE], read) as source:
                    _copy(cut, source, pictures, tracks)
            tracks.add_pictures(cut, pictures.rest())
        tracks.finish(clip.samples)
    with output.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return SplicedFile(output.stat().st_size, sha256, clip.samples / AUDIO_SAMPLE_RATE, tracks.frames)


def _copy(cut: Cut, source: InputContainer, pictures: _Pictures, tracks: _Tracks) -> None:
    tracks.take_from(source)
    for packet in source.demux():
        if packet.pts is None:  # the demuxer's sign for the end
            continue
        if packet.stream.type == "video":
            tracks.add_pictures(cut, pictures.add(packet, packet.pts))
        elif cut.first_sample <= packet.pts < cut.end_sample:
            tracks.add_sound(packet, packet.pts + cut.shift)


class _Pictures:
    """Takes the pictures of a cut's segments, and gives those that are to be seen, a group at a time.

    A group is a keyframe and what follows until the next.
    """

    def __init__(self, cut: Cut, encoder: EncoderParameters) -> None:
        self._cut = cut
        self._encoder = encoder
        self._group: list[Packet[Stream]] = []
        self._header = b""

    def add(self, packet: Packet[Stream], pts: int) -> Iterator[Packet[Stream]]:
        if pts >= self._cut.end_pts:
            return
        if packet.is_keyframe:
            yield from self._shown(until=pts)
            self._group = []
            # The stream ends with its segments, and so perhaps before the group is complete.
            self._header = packet.stream.codec_context.extradata or b""
        self._group.append(packet)

    def rest(self) -> Iterator[Packet[Stream]]:
        return self._shown(until=self._cut.end_pts)

    def _shown(self, until: int) -> Iterator[Packet[Stream]]:
        """Of the group, whose last picture is shown until then."""
        begin = self._cut.begin_pts
        if not self._group or until <= begin:
            return
        before = sum(packet.pts is not None and packet.pts <= begin for packet in self._group)
        if before <= 1:
            yield from self._group
        else:
            yield from reencoded(self._group, before - 1, self._header, self._encoder)


class _Tracks:
    """The clip's sound and pictures, packet by packet: as many tracks as the segments have."""

    def __init__(self, container: OutputContainer) -> None:
        self.frames = 0
        self._container = container
        self._headers: list[bytes | None] = []
        self._held: Packet[Stream] | None = None
        self._held_pts = -1

    def take_from(self, source: InputContainer) -> None:
        """Make sure that what `source` holds can be added to the tracks."""
        if not self._container.streams:
            for track in source.streams:
                self._container.add_stream_from_template(track, opaque=True)
        headers = [track.codec_context.extradata for track in source.streams]
        self._headers = self._headers or headers
        if headers != self._headers:
            raise ParameterSetsDiffer

    def add_sound(self, packet: Packet[Stream], sample: int) -> None:
        packet.pts = packet.dts = sample
        packet.stream = self._container.streams.audio[0]
        self._container.mux(packet)

    def add_pictures(self, cut: Cut, packets: Iterator[Packet[Stream]]) -> None:
        """Hold each picture back until it is known how long it is shown.

        Pictures keep their distance to the sound. Where two ranges meet, one may be moved by less than an
        audio frame: the sound was not cut at exactly the same time.
        """
        for packet in packets:
            pts = max((packet.pts or 0) + ticks(cut.shift), ticks(cut.clip_sample), self._held_pts + 1)
            self._release(pts)
            packet.pts = packet.dts = pts
            packet.stream = self._container.streams.video[0]
            self._held, self._held_pts = packet, pts
            self.frames += 1

    def finish(self, samples: int) -> None:
        """Show the last picture until the end."""
        self._release(max(ticks(samples), self._held_pts + 1))

    def _release(self, next_pts: int) -> None:
        if self._held is not None:
            self._held.duration = next_pts - self._held_pts
            self._container.mux(self._held)
