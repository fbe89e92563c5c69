"""Leases: the sign of life of whoever records a task. The log, not the lease, decides who owns it."""

import asyncio
import json
from typing import Final

import nats.errors
import structlog
from nats.js.errors import BadRequestError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from panoreel.eventlog.log import EventLog
from panoreel.eventlog.topology import LEASES

RENEW_INTERVAL_S: Final = 2.0

_logger = structlog.get_logger()


class Lease:
    """One task's lease. `keep` holds it until cancelled; `release` gives it up at once."""

    def __init__(self, log: EventLog, task_id: str, recorder_id: str, epoch: int) -> None:
        self._log = log
        self._task_id = task_id
        self._value = json.dumps({"recorder_id": recorder_id, "epoch": epoch}).encode()
        self._revision = 0

    async def keep(self) -> None:
        """Renew the lease every `RENEW_INTERVAL_S`, and take it again when it ran out during an outage."""
        while True:
            try:
                await self._renew(await self._log.js.key_value(LEASES))
            except (nats.errors.Error, TimeoutError) as error:
                _logger.warning("lease not renewed", task_id=self._task_id, error=repr(error))
            await asyncio.sleep(RENEW_INTERVAL_S)

    async def _renew(self, bucket: KeyValue) -> None:
        if self._revision:
            try:
                self._revision = await bucket.update(self._task_id, self._value, last=self._revision)
            except KeyWrongLastSequenceError:
                self._revision = 0
        if not self._revision:
            self._revision = await bucket.put(self._task_id, self._value)

    async def release(self) -> None:
        """Let others see that nobody records the task any more; a lease that others took is left to them."""
        if not self._revision:
            return
        try:
            bucket = await self._log.js.key_value(LEASES)
            await bucket.delete(self._task_id, last=self._revision)
        except BadRequestError:
            # It was renewed at this very moment, or is another's: it runs out by itself.
            _logger.debug("lease not released", task_id=self._task_id)
        except (nats.errors.Error, TimeoutError) as error:
            _logger.warning("lease not released, it will run out", task_id=self._task_id, error=repr(error))
