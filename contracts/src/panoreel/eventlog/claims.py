"""Tasks that wait for a recorder.

FastStream pulls whether or not there is room; a recorder with no room must leave tasks to others. Hence these
consumers are pulled by hand, one task at a time (ADR 0002).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.eventlog.log import EventLog, stored_event
from panoreel.eventlog.topology import CLAIMS, TASKS

LINGER_S: Final = 1.0
GLANCE_S: Final = 0.05

_logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Offer:
    """A task that may be claimed. It is offered again unless it is accepted."""

    event: StoredEvent
    _message: Msg

    async def accept(self) -> None:
        """The claim is in the log, or there is nothing to claim any more."""
        await self._message.ack()

    async def decline(self, delay_s: float) -> None:
        """Offer it again, to anybody, after `delay_s` seconds."""
        await self._message.nak(delay=delay_s)


class ClaimQueue:
    """The waiting tasks, by priority."""

    def __init__(self, subscriptions: Sequence[JetStreamContext.PullSubscription]) -> None:
        self._subscriptions = subscriptions

    @classmethod
    async def open(cls, log: EventLog) -> Self:
        """Join the recorders that share these consumers."""
        return cls([await log.js.pull_subscribe_bind(consumer.name, TASKS) for consumer in CLAIMS])

    async def next(self) -> Offer | None:
        """The next waiting task; None after about a second without one."""
        for subscription, patience_s in zip(self._subscriptions, (GLANCE_S, LINGER_S, GLANCE_S), strict=True):
            try:
                [message] = await subscription.fetch(1, timeout=patience_s)
            except TimeoutError:
                continue
            except nats.errors.Error as error:
                _logger.warning("waiting tasks cannot be asked for", error=repr(error))
                await asyncio.sleep(LINGER_S)
                return None
            try:
                return Offer(stored_event(message), message)
            except UndecodableEvent:
                _logger.exception("event is unreadable", subject=message.subject)
                await message.term()
        return None
