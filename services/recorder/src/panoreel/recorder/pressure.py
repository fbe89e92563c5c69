"""How much effort the encoder makes: as much as the page needs, less at once when pictures come too late."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 1.0
"""How long is looked at, at a time."""

PRESSED_WINDOWS: Final = 2
"""So many windows running are more than a page that begins, or another program that does."""

PRESSED_BUSY, CALM_BUSY = 0.8, 0.4
"""Shares of the time that encoding takes. A step down saves less than what lies between them."""

PRESSED_LATE, CALM_LATE = 0.2, 0.02
"""Shares of the pictures that were taken too late."""

MOVING_PER_S: Final = 5
"""With fewer pictures a second the best preset costs next to nothing, and saves a tenth of the bytes."""

CALM_S, LONGEST_CALM_S = 20.0, 320.0
"""After so long a calm there is a step up; after twice as long, when the one before was taken back."""


@dataclass(frozen=True)
class Counts:
    """What was counted until the monotonic time `at`: pictures, late ones among them, seconds of encoding."""

    at: float
    pictures: int
    late: int
    busy_s: float


def effort(pictures_per_s: float) -> int:
    """Which preset so many pictures a second are worth, counted from the best."""
    return 0 if pictures_per_s < MOVING_PER_S else 1


class Pressure:
    """Chooses among presets, given from the best to the cheapest. Does no I/O; for one thread.

    `steps` counts how often that was done, or taken back, because the encoder could not keep up.
    """

    def __init__(self, presets: Sequence[str]) -> None:
        self.steps = 0
        self._presets = presets
        self._index = 0
        self._effort = effort(MOVING_PER_S)
        self._before: Counts | None = None
        self._pressed = 0
        self._calm_since: float | None = None
        self._calm_s = CALM_S
        self._stepped_up = False

    @property
    def preset(self) -> str:
        """The one to encode with."""
        return self._presets[max(self._index, self._effort)]

    def start_over(self) -> None:
        """What is counted from now on is not to be compared with what was before."""
        self._before = None

    def look(self, now: Counts) -> None:
        """Take note of what has been counted so far; to be called often."""
        if self._before is None:
            self._before = now
        length_s = now.at - self._before.at
        if length_s < WINDOW_S:
            return
        self._effort = effort((now.pictures - self._before.pictures) / length_s)
        busy = (now.busy_s - self._before.busy_s) / length_s
        late = (now.late - self._before.late) / max(1, now.pictures - self._before.pictures)
        self._before = now
        if busy > PRESSED_BUSY or late > PRESSED_LATE:
            self._press()
        else:
            self._pressed = 0
            self._relax(now.at, calm=busy < CALM_BUSY and late < CALM_LATE)

    def _press(self) -> None:
        self._calm_since = None
        self._pressed += 1
        index = max(self._index, self._effort) + 1
        if self._pressed < PRESSED_WINDOWS or index == len(self._presets):
            return
        if self._stepped_up:
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)
        self._step(index)

    def _relax(self, at: float, *, calm: bool) -> None:
        if not calm or self._calm_since is None:
            self._calm_since = at if calm else None
        elif self._index and at - self._calm_since >= self._calm_s:
            self._calm_since = at
            self._step(self._index - 1)

    def _step(self, index: int) -> None:
        self._stepped_up = index < self._index
        self._index = index
        self._pressed = 0
        self.steps += 1
