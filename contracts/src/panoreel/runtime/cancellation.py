"""Cancellations that arrive: a service that was told to stop would otherwise go on now and then.

Until Python 3.12 `asyncio.wait_for` drops a cancellation that comes together with the result that it waits
for (github.com/python/cpython/issues/86296). The NATS client awaits each answer of the server by it, and so
does everything in a service sooner or later.
"""

import asyncio
import sys
from typing import Any


async def wait_for(fut: Any, timeout: float | None) -> Any:  # noqa: ASYNC109  these are asyncio's own words
    """As `asyncio.wait_for` since Python 3.12."""
    async with asyncio.timeout(timeout):
        return await asyncio.ensure_future(fut)


def keep_cancellations() -> None:
    """Have all of this process wait that way, the libraries that it uses among it."""
    if sys.version_info < (3, 12):
        asyncio.wait_for = wait_for
