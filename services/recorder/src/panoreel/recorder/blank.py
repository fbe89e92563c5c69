"""Whether a page shows anything at all."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

LOOK_EVERY_S: Final = 1.0

COLOUR: Final = 0x00FFFFFF
"""The bits of a BGRX pixel that are shown."""

FEW_ROWS: Final = 16
"""A first look at so many rows is enough for most pages that show something."""


class BlankWatch:
    """Notices a page that is blank for `after_s` seconds; never, if that is None."""

    def __init__(self, after_s: float | None) -> None:
        self._after_s = after_s
        self.start_over()

    def start_over(self) -> None:
        """Forget what was seen."""
        self._look_at = 0.0
        self._blank_since: float | None = None
        self._told = False

    def look(self, picture: NDArray[np.uint8], shown: float) -> bool:
        """Take a picture, shown at `shown` seconds of the recording; True once for each blank period."""
        if self._after_s is None or shown < self._look_at:
            return False
        self._look_at = shown + LOOK_EVERY_S
        if not is_plain(picture):
            self._blank_since, self._told = None, False
            return False
        if self._blank_since is None:
            self._blank_since = shown
        due = not self._told and shown - self._blank_since >= self._after_s
        self._told |= due
        return due


def is_plain(picture: NDArray[np.uint8]) -> bool:
    """Whether all pixels of a BGRX picture (height, width, 4), rows contiguous, have one colour."""
    return _same(picture[:: max(1, len(picture) // FEW_ROWS)]) and _same(picture)


def _same(rows: NDArray[np.uint8]) -> bool:
    pixels = rows.view(np.uint32)
    return not ((pixels ^ pixels[0, 0, 0]) & COLOUR).any()
