"""How many requests a key may make."""

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

    def take(self, key_id: str, rate: int) -> bool:
        """Take one token, of which `rate` a second grow; False when there is none."""
        now_ns = self._clock_ns()
        full_at_ns = max(self._full_at_ns.get(key_id, now_ns), now_ns) + _SECOND_NS // rate
        if full_at_ns > now_ns + BURST_S * _SECOND_NS:
            return False
        self._full_at_ns[key_id] = full_at_ns
        return True


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
        if key is None or self._buckets.take(key.id, key.rate_limit or self._default_rate):
            await self._app(scope, receive, send)
        else:
            answer = refusal(HTTPStatus.TOO_MANY_REQUESTS, "API rate limit exceeded")
            await answer(scope, receive, send)
