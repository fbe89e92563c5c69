"""How far the read model is, as every replica of dispatch hears it from Postgres."""

import asyncio
from typing import Final

import asyncpg
import structlog

CHANNEL: Final = "projected"
READ_YOUR_WRITES_S: Final = 2.0
RETRY_S: Final = 1.0

_logger = structlog.get_logger()


class Projection:
    """Lets a command wait until its events can be read.

    `lagging` is true while an event that somebody waited for in vain is still not projected; readers then
    have to look into the log.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._seq = 0
        self._missed_seq = 0
        self._moved = asyncio.Event()

    @property
    def lagging(self) -> bool:
        """Whether the read model is known to be older than an answer that was given."""
        return self._seq < self._missed_seq

    async def reached(self, seq: int) -> None:
        """Return once position `seq` is projected, or after `READ_YOUR_WRITES_S`."""
        try:
            async with asyncio.timeout(READ_YOUR_WRITES_S):
                while self._seq < seq:
                    await self._moved.wait()
        except TimeoutError:
            self._missed_seq = max(self._missed_seq, seq)
            _logger.warning("projection lags", wanted=seq, reached=self._seq)

    async def listen(self) -> None:
        """Hear of progress until cancelled."""
        while True:
            try:
                await self._listen_once()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _logger.warning("not listening to the projection", error=repr(error))
            await asyncio.sleep(RETRY_S)

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._notified)
            # What was projected before we listened.
            self._advance(await connection.fetchval("SELECT coalesce(max(seq), 0) FROM positions"))
            await lost.wait()
        finally:
            await connection.close(timeout=1)

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._advance(int(str(payload)))

    def _advance(self, seq: int) -> None:
        self._seq = max(self._seq, seq)
        self._moved.set()
        self._moved = asyncio.Event()
