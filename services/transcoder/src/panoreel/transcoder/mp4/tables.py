"""Sample tables of single segments: what rests beside a piece's media until the recording has ended.

All are made of big-endian integers of 32 bits, as in the movie that they become part of.
"""

from __future__ import annotations  # array is generic for type checkers only

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, groupby
from struct import pack, unpack_from
from sys import byteorder
from typing import Final

from panoreel.transcoder.mp4.boxes import box, boxes, child

PICTURES: Final = b"vide"
"""The handler type of a track of pictures (ISO/IEC 14496-12, 12.1.2)."""

SOUND: Final = b"soun"


@dataclass(frozen=True)
class Run:
    """A track's samples in a segment, which lie behind each other from `offset` on.

    `sizes` has a number for each, `durations` pairs of a count and of how long each of so many samples lasts
    (ISO/IEC 14496-12, 8.6.1.2), `keys` the numbers of those where decoding may begin, the first being 0.
    """

    kind: bytes
    offset: int
    sizes: bytes
    durations: bytes
    keys: bytes = b""

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.sizes) // 4


Tables = dict[tuple[int, int], tuple[Run, ...]]
"""The tracks of each segment, by epoch and index. Offsets count from the beginning of a piece."""


def written(header: bytes, tables: Tables) -> bytes:
    """What rests beside a piece: the header of its segments, and their tables, as boxes of our own."""
    segments = (
        box(b"segm", pack(">II", *segment), *(_written_run(run) for run in runs))
        for segment, runs in tables.items()
    )
    return b"".join((box(b"head", header), *segments))


def read(index: bytes) -> tuple[bytes, Tables]:
    """What `written` wrote.

    Raises:
        NotMp4: it is something else.
    """
    tables: Tables = {}
    for kind, content in boxes(index):
        if kind == b"segm":
            epoch, number = unpack_from(">II", content)
            tables[epoch, number] = tuple(_read_run(kind, run) for kind, run in boxes(content[8:]))
    return child(index, b"head"), tables


def numbers(table: bytes) -> array[int]:
    """The numbers of a table."""
    found = array("I", table)
    if byteorder == "little":
        found.byteswap()
    return found


def table(values: Iterable[int]) -> bytes:
    """A table of these numbers."""
    made = array("I", values)
    if byteorder == "little":
        made.byteswap()
    return made.tobytes()


def run_lengths(durations: Iterable[int]) -> bytes:
    """How long sample after sample lasts, as pairs of a count and a duration."""
    return table(chain.from_iterable((len(list(same)), duration) for duration, same in groupby(durations)))


def run_lengths_undone(durations: bytes) -> list[int]:
    """The reverse."""
    pairs = iter(numbers(durations))
    return [duration for count, duration in zip(pairs, pairs, strict=True) for _ in range(count)]


def _written_run(run: Run) -> bytes:
    tables = (run.sizes, run.durations, run.keys)
    return box(run.kind, pack(">Q", run.offset), *(box(b"tabl", content) for content in tables))


def _read_run(kind: bytes, content: bytes) -> Run:
    sizes, durations, keys = (inner for _, inner in boxes(content[8:]))
    return Run(kind, int.from_bytes(content[:8], "big"), sizes, durations, keys)
