"""One way to connect to NATS: it never gives up on a server that comes back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client

REQUEST_TIMEOUT_S: Final = 5.0
"""How long JetStream may take for one answer; synced writes on a busy disk are slow."""

RECONNECT_WAIT_S: Final = 1

_logger = structlog.get_logger()


@asynccontextmanager
async def connected(nats_url: str, name: str) -> AsyncIterator[Client]:
    """A connection for as long as the context lasts; `name` shows up in the server's monitoring."""

    async def report(error: Exception) -> None:
        # A server that is away is met at every attempt; the two lines below tell it once.
        if not isinstance(error, OSError | nats.errors.StaleConnectionError):
            _logger.warning("nats error", error=repr(error))

    async def lost() -> None:
        if not client.is_closed:
            _logger.warning("nats connection lost")

    async def back() -> None:
        _logger.info("nats connection restored")

    client = Client()
    await client.connect(
        nats_url,
        name=name,
        error_cb=report,
        disconnected_cb=lost,
        reconnected_cb=back,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,
        ping_interval=10,
    )
    try:
        yield client
    finally:
        # While the server is away, closing stumbles over what could not be sent.
        with suppress(ConnectionError):
            await client.close()
