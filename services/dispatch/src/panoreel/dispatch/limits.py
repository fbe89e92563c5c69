"""The duration limit that needs no recorder: a timer in the log's server, which any replica carries out.

A recorder ends its recording by itself. The timer is for one that hangs, or is lost while nobody takes over.
"""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from panoreel.contracts.commands import Stop
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Failure
from panoreel.contracts.task import Phase
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.reactions import reacting
from panoreel.eventlog.timers import ringing, set_timer
from panoreel.eventlog.topology import DUE_LIMITS, DURATION_LIMIT, LIMITS

SERVICE: Final = "dispatch"

GRACE_S: Final = 5.0
"""How much later than the recorder the timer ends a recording: the recorder knows the exact frame."""

_logger = structlog.get_logger()


class DurationLimits:
    """Sets a timer when a recording starts, and stops the recording when it is due. Both may be repeated."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def enforce(self, nats_url: str) -> None:
        """Do so until cancelled, side by side with other replicas."""
        async with (
            reacting(nats_url, SERVICE, LIMITS, self.begin, self.give_up),
            ringing(nats_url, SERVICE, DUE_LIMITS, self.end),
        ):
            await asyncio.Event().wait()

    async def begin(self, started: StoredEvent) -> None:
        """Set the timer; it counts from the first frame of the task, whoever recorded it."""
        task, _ = await self._log.load(started.task_id)
        if task is None or task.start_time is None or task.phase >= Phase.CANCELED:
            return
        due = task.start_time + timedelta(seconds=task.max_duration_s + GRACE_S)
        await set_timer(self._log, task.task_id, DURATION_LIMIT, due)

    async def give_up(self, started: StoredEvent, failure: Failure) -> None:
        """Leave the limit to the recorder alone."""
        _logger.error("duration limit has no timer", task_id=started.task_id, error=failure.message)

    async def end(self, task_id: str) -> None:
        """The limit is reached; without effect on a recording that has ended."""
        await self._log.execute(task_id, Stop("duration_limit"), Cause(SERVICE))
