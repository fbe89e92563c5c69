"""Secrets that outlived their tasks: a request that broke off, or a stage that died after its last event."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.secrets import SecretStore

INTERVAL_S: Final = 3600.0

ORPHANED_AFTER: Final = timedelta(hours=1)
"""Sealed this long ago without a task, they get none any more: a request takes seconds."""

_logger = structlog.get_logger()


async def sweep(secrets: SecretStore) -> None:
    """Forget such secrets now and every hour, until cancelled; replicas may do so side by side."""
    while True:
        try:
            swept = await secrets.sweep(ORPHANED_AFTER)
        except (LogUnavailable, UndecodableEvent) as error:
            _logger.warning("secrets were not swept", error=repr(error))
        else:
            if swept:
                _logger.warning("forgot secrets without a task", keys=swept)
        await asyncio.sleep(INTERVAL_S)
