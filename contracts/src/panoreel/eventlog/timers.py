"""Timers that outlive every process: the server keeps them, and tells when one is due (NATS ADR-51).

A due timer is told at least once, and late rather than never; whoever hears of it looks at the log first.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import nats.errors
from faststream.nats.annotations import NatsMessage
from nats.js.api import Header

from panoreel.contracts import subjects
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.reactions import delivering, tried_again
from panoreel.eventlog.topology import TIMERS, DurableConsumer

Ring = Callable[[str], Awaitable[None]]
"""Is given the id of the task whose timer is due."""


async def set_timer(log: EventLog, task_id: str, name: str, due: datetime) -> None:
    """Set the task's timer of this name, in place of the one before; `due` has a time zone.

    One that is due already is told at once.

    Raises:
        LogUnavailable: JetStream did not answer; whether the timer is set is not known.
    """
    schedule = {
        Header.SCHEDULE.value: f"@at {due.astimezone(UTC).isoformat()}",
        Header.SCHEDULE_TARGET.value: subjects.of_due_timer(task_id, name),
    }
    try:
        await log.js.publish(subjects.of_timer(task_id, name), stream=TIMERS, headers=schedule)
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the timers' stream does not answer") from error


@asynccontextmanager
async def ringing(nats_url: str, service: str, consumer: DurableConsumer, ring: Ring) -> AsyncIterator[None]:
    """Call `ring` for each due timer of the consumer, for as long as the context lasts.

    When it raises `Rejected` the task has moved on; whatever else it raises, it is called again later.
    """

    async def settle(message: NatsMessage) -> None:
        async with tried_again(message, consumer):
            await ring(subjects.task_id_of_due_timer(message.raw_message.subject))
            await message.ack()

    async with delivering(nats_url, service, consumer, settle):
        yield
