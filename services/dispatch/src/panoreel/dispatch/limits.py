"""The limits that need no recorder: timers in the log's server, which any replica carries out.

A recorder ends its recording by itself at the duration limit. The timer is for one that hangs, or is lost
while nobody takes over. How long a task may wait for a recorder nobody but the timer knows.
"""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from panoreel.contracts.commands import Expire, Stop
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Failure, TaskCreated
from panoreel.contracts.task import Phase
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.reactions import reacting
from panoreel.eventlog.timers import ringing, set_timer
from panoreel.eventlog.topology import (
    DUE_LIMITS,
    DUE_QUEUE_TIMEOUTS,
    DURATION_LIMIT,
    LIMITS,
    QUEUE_TIMEOUT,
    QUEUE_TIMEOUTS,
)

SERVICE: Final = "dispatch"

GRACE_S: Final = 5.0
"""How much later than the recorder the timer ends a recording: the recorder knows the exact frame."""

_logger = structlog.get_logger()


class Limits:
    """Sets a timer when a task is created or its recording starts, and ends it when it is due.

    All of it may be repeated.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def enforce(self, nats_url: str) -> None:
        """Do so until cancelled, side by side with other replicas."""
        async with (
            reacting(nats_url, SERVICE, LIMITS, self.begin, self.give_up),
            reacting(nats_url, SERVICE, QUEUE_TIMEOUTS, self.queue, self.give_up),
            ringing(nats_url, SERVICE, DUE_LIMITS, self.end),
            ringing(nats_url, SERVICE, DUE_QUEUE_TIMEOUTS, self.expire),
        ):
            await asyncio.Event().wait()

    async def begin(self, started: StoredEvent) -> None:
        """Set the timer of the duration limit; it counts from the task's first frame, whoever recorded it."""
        task, _ = await self._log.load(started.task_id)
        if task is None or task.start_time is None or task.phase >= Phase.CANCELED:
            return
        due = task.start_time + timedelta(seconds=task.max_duration_s + GRACE_S)
        await set_timer(self._log, task.task_id, DURATION_LIMIT, due)

    async def queue(self, created: StoredEvent) -> None:
        """Set the timer that ends the task if no recorder takes it."""
        if isinstance(created.event, TaskCreated) and created.event.queue_timeout_s is not None:
            due = created.envelope.time + timedelta(seconds=created.event.queue_timeout_s)
            await set_timer(self._log, created.task_id, QUEUE_TIMEOUT, due)

    async def give_up(self, event: StoredEvent, failure: Failure) -> None:
        """Leave the duration limit to the recorder alone, or the task waiting."""
        _logger.error("a limit has no timer", task_id=event.task_id, error=failure.message)

    async def end(self, task_id: str) -> None:
        """The duration limit is reached; without effect on a recording that has ended."""
        await self._log.execute(task_id, Stop("duration_limit"), Cause(SERVICE))

    async def expire(self, task_id: str) -> None:
        """The task has waited for long enough; without effect on one that a recorder has taken."""
        await self._log.execute(task_id, Expire(), Cause(SERVICE))
