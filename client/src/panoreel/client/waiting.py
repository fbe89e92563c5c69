"""How both clients repeat and wait: when, and for how long; the sleeping is theirs."""

import time
from typing import Any, Final, TypedDict

from tenacity import retry_if_exception, stop_after_attempt, wait_exponential_jitter
from tenacity.retry import retry_base
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from panoreel.client.answers import Recording, Status
from panoreel.client.calls import Call
from panoreel.client.errors import InternalError, PanoreelError, RateLimited, TimedOut, Unreachable

TIMEOUT_S: Final = 15.0
POLL_S: Final = 0.5
ATTEMPTS: Final = 4
SILENCE_S: Final = 30.0
"""A recording goes on without its API, so a watcher waits this long for the API to come back."""


class Policy(TypedDict):
    """Arguments of tenacity's retrying objects."""

    retry: retry_base
    stop: stop_base
    wait: wait_base
    reraise: bool


def policy(call: Call[Any]) -> Policy:
    """When a call is sent again: after about 0.2, 0.4 and 0.8 s, if it does no harm."""
    return Policy(
        retry=retry_if_exception(call.may_repeat_after),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.1),
        reraise=True,
    )


class Patience:
    """How long a watcher bears an API that is silent or in trouble."""

    def __init__(self) -> None:
        self._answered_s = time.monotonic()

    def answered(self) -> None:
        """The API has answered."""
        self._answered_s = time.monotonic()

    def bear(self, error: PanoreelError) -> None:
        """Raises the error, unless it may pass and has not lasted long."""
        passing = isinstance(error, Unreachable | InternalError | RateLimited)
        if not passing or time.monotonic() - self._answered_s > SILENCE_S:
            raise error


class Watch:
    """What a watcher of one recording remembers: patience, deadline, and the last state that it saw."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._began_s = time.monotonic()
        self._patience = Patience()
        self._status: Status | None = None
        self._retry_num = 0
        self._pause_s = POLL_S

    def is_news(self, recording: Recording) -> bool:
        """Whether the status has changed, or a recorder was lost."""
        self._patience.answered()
        self._pause_s = POLL_S
        before = self._status, self._retry_num
        self._status, self._retry_num = recording.status, recording.retry_num
        return before != (recording.status, recording.retry_num)

    def bear(self, error: PanoreelError) -> None:
        """See `Patience.bear`; whoever asks too often pauses for as long as they are told to."""
        self._patience.bear(error)
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        self._pause_s = max(POLL_S, asked_s or 0)

    def pause_s(self) -> float:
        """How long to sleep before the next look; raises `TimedOut`."""
        if self._timeout_s is None:
            return self._pause_s
        left_s = self._began_s + self._timeout_s - time.monotonic()
        if left_s <= 0:
            raise TimedOut(f"after {self._timeout_s:g} s the recording's status is {self._status}")
        return min(self._pause_s, left_s)
