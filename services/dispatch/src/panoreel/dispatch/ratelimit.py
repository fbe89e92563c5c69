"""How many requests a key may make."""

import math
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from panoreel.dispatch.refusal import refusal

BURST_S: Final = 2
"""How many seconds' worth of requests may come at once."""

_SECOND_NS: Final = 1_000_000_000


class TokenBuckets:
    """One token bucket a key. What is kept of it is only when it will be full again."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._full_at_ns: dict[str, int] = {}

    def take(self, key_id: str, rate: int) -> float:
        """Take one token, of which `rate` a second grow: 0, or in how many seconds there will be one."""
        now_ns = self._clock_ns()
        full_at_ns = max(self._full_at_ns.get(key_id, now_ns), now_ns) + _SECOND_NS // rate
        missing_ns = full_at_ns - now_ns - BURST_S * _SECOND_NS
        if missing_ns > 0:
            return missing_ns / _SECOND_NS
        self._full_at_ns[key_id] = full_at_ns
        return 0


class RateLimitMiddleware:
    """Answers 429 to a key that asks too often.

    It stands behind authentication: nobody can use up what another one's key may do.
    """

    def __init__(self, app: ASGIApp, default_rate: int) -> None:
        self._app = app
        self._default_rate = default_rate
        self._buckets = TokenBuckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        key = scope.get("state", {}).get("key")
        wait_s = 0 if key is None else self._buckets.take(key.id, key.rate_limit or self._default_rate)
        if wait_s:
            retry_after = {"Retry-After": str(math.ceil(wait_s))}
            answer = refusal(HTTPStatus.TOO_MANY_REQUESTS, "API rate limit exceeded", retry_after)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)
