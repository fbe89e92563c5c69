"""When Chromium began the frames that are seen on the screen.

Without a GPU it begins them on a timer, at the multiples of the refresh interval in whole microseconds, on
CLOCK_MONOTONIC. That is nowhere promised but was measured, as was all else here (Chromium 156, 30 and 60 Hz);
`test_refresh.py` tells when it changes.
"""

import math
from typing import Final

from panoreel.recorder.sound import LATENCY_MS

SLOWEST_HZ: Final = 30
"""Chromium chooses the pictures of a video a refresh ahead: the slower the screen, the coarser its sync."""

TO_SCREEN_S: Final = 0.003
"""From what a script does on a page where nothing moves, which is drawn at once, to the screen."""


def refresh_hz(fps: int) -> int:
    """How often a second a screen is refreshed of which `fps` pictures are taken: a multiple of that."""
    return fps * math.ceil(SLOWEST_HZ / fps)


class Refresh:
    """The ticks of a screen of which `fps` pictures a second are taken."""

    def __init__(self, fps: int) -> None:
        self._interval_s = 1_000_000 // refresh_hz(fps) / 1_000_000
        self._steady_s = 2.5 / fps  # one picture may be missing
        self._damaged_at = -math.inf

    @property
    def sound_lead_s(self) -> float:
        """By how much sound is to be stamped earlier than it is heard, for pictures and sound to be together.

        A video's picture is on the screen, on average, a refresh before its time, since Chromium makes up for
        the time that light would take to appear. What a script draws is there at once, but what it plays
        takes `LATENCY_MS`, which at 30 Hz is the same. On other screens this is nearer to the former:
        pictures of a video are up to 17 ms beside their time, by their phase, while a script's are steady.
        """
        return self._interval_s + (LATENCY_MS / 1000 - self._interval_s) / 4

    def shown(self, damaged_at: float) -> float:
        """The monotonic time of what changed the screen at `damaged_at`, given change after change.

        While something moves that is the tick before, which is the time that animations are drawn for.
        """
        steady = damaged_at - self._damaged_at < self._steady_s
        self._damaged_at = damaged_at
        return damaged_at // self._interval_s * self._interval_s if steady else damaged_at - TO_SCREEN_S
