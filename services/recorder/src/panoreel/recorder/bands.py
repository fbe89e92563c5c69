"""Which rows of a picture have changed, so that only those are taken and converted."""

from collections.abc import Iterable
from typing import Final

Bands = tuple[tuple[int, int], ...]
"""Rows from an even one until another, or until the picture's end; in order, and apart from each other."""

WORTHWHILE_GAP: Final = 64
"""Rows; to leave out fewer costs more than to take them along."""


def bands(extents: Iterable[tuple[int, int]], height: int) -> Bands:
    """What covers `extents`, each from a row until a row in any order, within a picture of `height` rows."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted((max(0, begin), min(end, height)) for begin, end in extents):
        if begin >= end:
            continue
        top, bottom = begin - begin % 2, min(end + end % 2, height)
        if found and top - found[-1][1] < WORTHWHILE_GAP:
            top, before = found.pop()
            bottom = max(bottom, before)
        found.append((top, bottom))
    return tuple(found)
