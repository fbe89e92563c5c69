"""How often, and for how long, it is tried to have a page shown again."""

from collections import deque
from typing import Final

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0

GIVE_UP_S: Final = 600.0
"""For so long a page may show no content."""

QUIET_S: Final = 60.0
"""What was well for so long is a new matter when it breaks again."""

MOST_ACCIDENTS: Final = 5


class Patience:
    """Counts attempts; all times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._accidents: deque[float] = deque()
        self._pause_s = FIRST_PAUSE_S
        self._began: float | None = None
        self._well_since = 0.0

    def bears_accident(self, now: float) -> bool:
        """Something broke; whether it may be set up anew, because it has not broken too often of late."""
        self._accidents.append(now)
        while now - self._accidents[0] > QUIET_S:
            self._accidents.popleft()
        return len(self._accidents) < MOST_ACCIDENTS

    def next_pause_s(self, now: float) -> float | None:
        """How long to wait before the page is loaded again, longer each time; None to give up."""
        if self._began is None:
            self._began, self._pause_s = now, FIRST_PAUSE_S
        if now - self._began > GIVE_UP_S:
            return None
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def well(self, now: float) -> None:
        """The page is shown."""
        self._well_since = now

    def trouble(self, since: float) -> None:
        """The page has shown nothing since then; if it was well before for long, that is a new matter."""
        if since - self._well_since > QUIET_S:
            self._began = None
