"""Tasks that wait for a recorder.

FastStream pulls whether or not there is room; a recorder with no room must leave tasks to others. Hence these
consumers are pulled by hand, one task at a time (ADR 0002).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

import nats.errors
import structlog
from nats.aio.msg import Msg

from panoreel.contracts import subjects
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import RecorderLost, TaskCreated
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.eventlog.connection import REQUEST_TIMEOUT_S
from panoreel.eventlog.log import EventLog, stored_event
from panoreel.eventlog.topology import CLAIMS, TASKS

LINGER_S: Final = 1.0

STORING_S: Final = 0.004
"""How long a server takes at least to sync an event, of which we hear before."""

NO_WAIT: Final = json.dumps({"batch": 1, "no_wait": True}).encode()

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
        """Offer it again, to anybody, after `delay_s` seconds; others may be offered before it then."""
        await self._message.nak(delay=delay_s)


class ClaimQueue:
    """The waiting tasks: recordings that broke off first, then by priority, each in the order of the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, log: EventLog) -> AsyncIterator[Self]:
        """Join the recorders that share these consumers."""
        queue = cls(log)
        hearing = [
            await log.client.subscribe(subjects.any_task(event), cb=queue._hear)
            for event in (TaskCreated, RecorderLost)
        ]
        try:
            yield queue
        finally:
            for subscription in hearing:
                await subscription.unsubscribe()

    async def next(self) -> Offer | None:
        """The next waiting task; None after about a second without one.

        Each consumer is asked for what it has, and none to wait: the server would hand over what comes when
        we no longer listen.
        """
        deadline = time.monotonic() + LINGER_S
        pause_s = LINGER_S
        try:
            while not (offer := await self._first()) and (left_s := deadline - time.monotonic()) > 0:
                # Who hears of an event can be faster than the server that stores it.
                pause_s = STORING_S if await self._heard(min(pause_s, left_s)) else 2 * pause_s
        except (nats.errors.Error, TimeoutError) as error:
            _logger.warning("waiting tasks cannot be asked for", error=repr(error))
            await asyncio.sleep(LINGER_S)
            return None
        return offer

    async def _first(self) -> Offer | None:
        for consumer in CLAIMS:
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{TASKS}.{consumer.name}"
            # With an inbox of its own: the shared one tells answers by their subject, which is the event's.
            message = await self._log.client.request(
                subject, NO_WAIT, timeout=REQUEST_TIMEOUT_S, old_style=True
            )
            if not message.reply:
                continue  # a status: there is nothing
            try:
                return Offer(stored_event(message), message)
            except UndecodableEvent:
                _logger.exception("event is unreadable", subject=message.subject)
                await message.term()
        return None

    async def _hear(self, _: Msg) -> None:
        self._news.set()

    async def _heard(self, timeout_s: float) -> bool:
        """Wait for news; False when there is none in time."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return False
        self._news.clear()
        return True
