"""A sealed segment taken apart: header, media, and tables that tell one sample of it from the next.

A segment is a fragmented MP4 with one fragment, in which each track has one run of samples
(ISO/IEC 14496-12, 8.8), as libav writes it.
"""

from __future__ import annotations  # array is generic for type checkers only

import struct
from array import array
from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, Segment
from panoreel.transcoder.errors import SegmentDamaged
from panoreel.transcoder.mp4.boxes import NotMp4, boxes, child
from panoreel.transcoder.mp4.tables import PICTURES, Run, numbers, run_lengths, table

# What trun has for each sample, in this order (8.8.8), or tfhd for all (8.8.7), if their flags say so.
_DURATION, _SIZE, _FLAGS, _COMPOSITION = 0x100, 0x200, 0x400, 0x800
_TFHD: Final = ((0x01, 8, None), (0x02, 4, None), (0x08, 4, _DURATION), (0x10, 4, _SIZE), (0x20, 4, _FLAGS))

_BASE_IS_MOOF: Final = 0x20000
_HAS_OFFSET: Final = 0x01
_HAS_FIRST_FLAGS: Final = 0x04
_IS_NO_KEY: Final = 0x10000


@dataclass(frozen=True)
class Fragment:
    """A segment's parts. The header holds the parameter sets. Offsets count from the beginning of `media`."""

    header: bytes
    media: bytes
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class _Samples:
    offset: int
    durations: array[int]
    sizes: array[int]
    flags: array[int]


def take_apart(segment: Segment, content: bytes) -> Fragment:
    """The parts of a segment.

    Raises:
        SegmentDamaged: they are not what was announced.
    """
    try:
        header_bytes = _bytes_before(content, b"moof")
        header, fragment = content[:header_bytes], content[header_bytes:]
        media_begin = _bytes_before(fragment, b"mdat") + 8
        kinds = _kinds(header)
        runs = []
        for kind, traf in boxes(child(fragment, b"moof")):
            if kind == b"traf":
                track_id, samples = _samples(traf)
                runs.append(_run(segment, kinds[track_id], samples, media_begin))
        return Fragment(header, child(fragment, b"mdat"), tuple(runs))
    except (NotMp4, KeyError, struct.error) as error:
        raise SegmentDamaged(segment) from error


def _bytes_before(content: bytes, wanted: bytes) -> int:
    position = 0
    for kind, inner in boxes(content):
        if kind == wanted:
            return position
        position += 8 + len(inner)
    raise NotMp4(f"there is no box {wanted!r}")


def _kinds(header: bytes) -> dict[int, bytes]:
    """What each track holds, by its id: its handler type (8.4.3)."""
    tracks = [track for kind, track in boxes(child(header, b"moov")) if kind == b"trak"]
    return {
        int.from_bytes(child(track, b"tkhd")[12:16], "big"): child(track, b"mdia", b"hdlr")[8:12]
        for track in tracks
    }


def _run(segment: Segment, kind: bytes, samples: _Samples, media_begin: int) -> Run:
    durations, keys = samples.durations, []
    if kind == PICTURES:
        # The last picture is shown until the next segment's first one.
        durations[-1] += segment.end_pts - segment.first_pts - sum(durations)
        keys = [number for number, flags in enumerate(samples.flags) if not flags & _IS_NO_KEY]
        right = len(durations) == segment.frames and min(durations) > 0
    else:
        right = set(durations) <= {AUDIO_FRAME_SAMPLES}
        right &= sum(durations) == segment.end_sample - segment.first_sample
    if not right:
        raise NotMp4("there are other samples than were announced")
    offset = samples.offset - media_begin
    return Run(kind, offset, table(samples.sizes), run_lengths(durations), table(keys))


def _samples(traf: bytes) -> tuple[int, _Samples]:
    """A track's id and its samples."""
    tfhd, trun = child(traf, b"tfhd"), child(traf, b"trun")
    track_id, default = _defaults(tfhd)
    flags, count = unpack_from(">II", trun)
    if not flags & _HAS_OFFSET or flags & _COMPOSITION:
        raise NotMp4("samples are told of in another way than is expected")
    offset, *first = unpack_from(">iI" if flags & _HAS_FIRST_FLAGS else ">i", trun, 8)
    fields = [field for field in (_DURATION, _SIZE, _FLAGS) if flags & field]
    values: array[int] = numbers(trun[12 + 4 * len(first) :])
    if len(values) != count * len(fields):
        raise NotMp4("the table of samples does not have its length")

    def column(field: int) -> array[int]:
        if field in fields:
            return values[fields.index(field) :: len(fields)]
        same: array[int] = array("I", [default[field]]) * count
        return same

    sample_flags = column(_FLAGS)
    sample_flags[: len(first)] = array("I", first)
    return track_id, _Samples(offset, column(_DURATION), column(_SIZE), sample_flags)


def _defaults(tfhd: bytes) -> tuple[int, dict[int, int]]:
    """A track's id, and what all of its samples have in common."""
    flags, track_id = unpack_from(">II", tfhd)
    if not flags & _BASE_IS_MOOF:
        raise NotMp4("offsets do not count from the fragment")
    position, found = 8, {_DURATION: 0, _SIZE: 0, _FLAGS: 0}
    for flag, size, field in _TFHD:
        if flags & flag:
            if field:
                found[field] = int.from_bytes(tfhd[position : position + size], "big")
            position += size
    return track_id, found
