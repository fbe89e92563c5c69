"""Which quantizer suits a page that moves: one that is about as good as x264's constant rate factor.

x264 gives less quality to what moves much, where the eye sees less (`qcomp`). To know how much that is it
searches for motion in a small copy of each picture first, which takes more than a third of its time. The
bytes of the pictures before tell as well: times the quantizer's step they are nearly the same for all
quantizers.
"""

import math
from typing import Final

LEAST_PICTURES: Final = 10
"""Fewer tell nothing."""

FIRST: Final = 2.0
"""By how much the first quantizer exceeds the constant rate factor, when nothing is known."""

OF_STILL: Final = -1.75
PER_DOUBLING: Final = 1.2
"""By how much it does so where little moves, and how much more when twice as much moves: fitted to the
likeness that x264's preset veryfast has, with all its looking ahead, on five kinds of pages (ADR 15)."""

LEAST: Final = -4.0
MOST: Final = 12.0
"""The offset stays in between, however little or much moves."""

LONGEST_STEP: Final = 3.0
"""At a time: the noise of a camera takes bits only below a certain quantizer, which would make it swing."""

WORTHWHILE: Final = 1.5
"""A smaller change is not worth another run of the encoder."""


class Quantizer:
    """Chooses an H.264 QP, `value`, for a constant rate factor and a picture's number of macroblocks."""

    def __init__(self, crf: int, macroblocks: int) -> None:
        self._crf = crf
        self._macroblocks = macroblocks
        self._bits = self._pictures = 0
        self.value = _in_range(crf + FIRST)

    def took(self, size: int) -> None:
        """A picture that refers to the one before it took so many bytes with the present value."""
        self._bits += 8 * size
        self._pictures += 1

    def begin_group(self) -> None:
        """A key picture begins another group of pictures: the one before tells no longer what moves."""
        if self._pictures >= LEAST_PICTURES:
            self._bits = self._pictures = 0

    def suggest(self) -> int:
        """The value that suits the present group."""
        if self._pictures < LEAST_PICTURES:
            return self.value
        moves = self._bits / self._pictures / self._macroblocks * _step(self.value)
        offset = OF_STILL + PER_DOUBLING * math.log2(max(moves, 1e-3))
        wanted = self._crf + min(max(offset, LEAST), MOST)
        change = min(max(wanted - self.value, -LONGEST_STEP), LONGEST_STEP)
        return self.value if abs(change) < WORTHWHILE else _in_range(self.value + change)

    def renew(self) -> None:
        """Go over to what is suggested; what pictures took before does not count any more."""
        self.value = self.suggest()
        self._bits = self._pictures = 0


def _step(qp: int) -> float:
    """In proportion to the quantizer's step, which doubles every six (ITU-T H.264, 8.5.9); as in x264."""
    return float(0.85 * 2 ** ((qp - 12) / 6))


def _in_range(qp: float) -> int:
    return min(max(round(qp), 1), 51)
