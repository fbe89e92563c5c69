"""The index of an MP4 file, which stands in front of its media: made of the tables of its segments.

Nothing is encoded or moved: media lies in the file in the order in which its segments were announced, and the
index tells when it is shown (ISO/IEC 14496-12). There are no edit lists: all tracks begin at 0.

Where one encoder run follows another, the sound needs no treatment: the decoder adds the second half
of each window to the first half of the next (ISO/IEC 14496-3, 4.6.11). The old run's last window thus
fades out while the new run's first, whose priming was dropped, fades in, within one audio frame.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from struct import pack
from typing import Final

from panoreel.contracts.media import AUDIO_SAMPLE_RATE
from panoreel.contracts.timeline import Timeline
from panoreel.transcoder.errors import NothingRecorded, ParameterSetsDiffer
from panoreel.transcoder.mp4 import tables
from panoreel.transcoder.mp4.boxes import box, boxes, child
from panoreel.transcoder.mp4.tables import PICTURES, Tables
from panoreel.transcoder.mp4.tracks import Track

_WIDE_FROM: Final = 1 << 32
"""Larger numbers of bytes take 64 bits."""

_FTYP: Final = box(b"ftyp", b"isom", pack(">I", 512), b"isom", b"iso2", b"avc1", b"mp41")


@dataclass(frozen=True)
class Movie:
    """What stands in front of the media: `ftyp`, `moov` and the header of `mdat`."""

    content: bytes
    frames: int


def movie(timeline: Timeline, pieces: Iterable[tuple[bytes, int]]) -> Movie:
    """The index for the pieces in their order; of each what rests beside it, and its length in bytes.

    All that the timeline shows is in them. They may hold more, which is not shown.

    Raises:
        NothingRecorded: the timeline is empty.
        ParameterSetsDiffer: two segments were encoded with different settings.
        NotMp4: what rests beside a piece is damaged.
    """
    if not timeline.stretches:
        raise NothingRecorded
    header, found, media_bytes = _gathered(pieces)
    moov = child(header, b"moov")
    mdias = [child(trak, b"mdia") for kind, trak in boxes(moov) if kind == b"trak"]
    tracks = [Track(child(mdia, b"hdlr")[8:12], child(mdia, b"minf", b"stbl", b"stsd")) for mdia in mdias]
    for stretch in timeline.stretches:
        runs = [run for segment in stretch.segments for run in found[segment.epoch, segment.index]]
        for track in tracks:
            track.add(stretch, runs)
    frames = sum(track.count for track in tracks if track.kind == PICTURES)
    return Movie(_front(moov, tracks, timeline.samples, media_bytes), frames)


def _gathered(pieces: Iterable[tuple[bytes, int]]) -> tuple[bytes, Tables, int]:
    """The header of all segments, their tables with offsets from the first piece on, and all bytes."""
    common, found, media_bytes = b"", Tables(), 0
    for index, size in pieces:
        header, segments = tables.read(index)
        common = common or header
        if header != common:
            raise ParameterSetsDiffer
        for segment, runs in segments.items():
            found[segment] = tuple(replace(run, offset=run.offset + media_bytes) for run in runs)
        media_bytes += size
    return common, found, media_bytes


def _front(moov: bytes, tracks: list[Track], samples: int, media_bytes: int) -> bytes:
    def front(media_begin: int, *, wide: bool) -> bytes:
        size = media_bytes + (16 if wide else 8)
        mdat = pack(">I4sQ", 1, b"mdat", size) if wide else pack(">I4s", size, b"mdat")
        return _FTYP + _moov(moov, samples, [track.placed(media_begin, wide) for track in tracks]) + mdat

    wide = len(front(0, wide=True)) + media_bytes >= _WIDE_FROM
    return front(len(front(0, wide=wide)), wide=wide)


def _moov(moov: bytes, samples: int, sample_tables: list[bytes]) -> bytes:
    """The segments' own `moov`, without what tells of fragments, with durations and sample tables."""
    traks = [trak for kind, trak in boxes(moov) if kind == b"trak"]
    made = [_trak(trak, samples, stbl) for trak, stbl in zip(traks, sample_tables, strict=True)]
    mvhd = child(moov, b"mvhd")
    # Measured in samples, which is exact.
    mvhd = mvhd[:12] + pack(">II", AUDIO_SAMPLE_RATE, samples) + mvhd[20:]
    return box(b"moov", box(b"mvhd", mvhd), *made)


def _trak(trak: bytes, samples: int, stbl: bytes) -> bytes:
    tkhd, mdia = child(trak, b"tkhd"), child(trak, b"mdia")
    mdhd, minf = child(mdia, b"mdhd"), child(mdia, b"minf")
    timescale = int.from_bytes(mdhd[12:16], "big")
    # Version 1, whose duration has 64 bits: 13 hours of pictures are too much for 32.
    long_mdhd = pack(">B3xQQIQ", 1, 0, 0, timescale, samples * timescale // AUDIO_SAMPLE_RATE) + mdhd[20:]
    minf = _with(minf, {b"stbl": stbl})
    mdia = _with(mdia, {b"mdhd": long_mdhd, b"minf": minf})
    return box(b"trak", _with(trak, {b"tkhd": tkhd[:20] + pack(">I", samples) + tkhd[24:], b"mdia": mdia}))


def _with(content: bytes, new: Mapping[bytes, bytes]) -> bytes:
    """The same boxes, some with other content."""
    return b"".join(box(kind, new.get(kind, inner)) for kind, inner in boxes(content))
