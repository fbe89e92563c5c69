"""In place of pictures, where only sound is recorded: time that passes."""

import math
import threading
import time
from typing import Final

TICK_S: Final = 1.0


class Ticker:
    """What a `Grabber` is to time: something that comes every second, at once when it starts over."""

    late = 0

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._end = math.inf
        self._due = -math.inf

    def end_at(self, moment: float) -> None:
        """Let `next` return None from this monotonic time on; may be called again, and from any thread."""
        with self._changed:
            self._end = moment
            self._changed.notify_all()

    def start_over(self) -> None:
        """Come at once the next time."""
        self._due = -math.inf

    def next(self) -> float | None:
        """Wait; the monotonic time afterwards, None at the end."""
        with self._changed:
            while (now := time.monotonic()) < self._end:
                if now >= self._due:
                    self._due = now + TICK_S
                    return now
                self._changed.wait(min(self._due, self._end) - now)
        return None
