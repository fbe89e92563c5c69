"""Timers: they ring once they are due, whatever was restarted meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from panoreel.contracts import subjects
from panoreel.contracts.commands import TaskNotFound
from panoreel.eventlog.errors import LogUnavailable, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.timers import ringing, set_timer
from panoreel.eventlog.topology import TIMERS, DurableConsumer
from tests.servers.nats import NatsServer

WAIT_S = 15.0


class Clock:
    """Timers of a name of the test's own, and a service that hears them."""

    def __init__(self, log: EventLog, url: str) -> None:
        self.log = log
        self.name = uuid4().hex
        self.url = url
        self.rung: list[tuple[str, float]] = []
        self.outcomes: list[Exception] = []
        self.consumer = DurableConsumer(
            self.name, (subjects.any_due_timer(self.name),), max_deliver=-1, stream=TIMERS
        )

    async def set(self, task_id: str, in_s: float, since: datetime | None = None) -> None:
        """Set a timer that is due so many seconds after `since`, which is now if not given."""
        await set_timer(self.log, task_id, self.name, (since or datetime.now(UTC)) + timedelta(seconds=in_s))

    async def ring(self, task_id: str) -> None:
        """Note that it rang; then raise the next outcome, if there is one."""
        self.rung.append((task_id, time.time()))
        if self.outcomes:
            raise self.outcomes.pop(0)

    async def heard(self, count: int) -> list[str]:
        """Which tasks' timers rang, once that many have and all are acknowledged."""
        async with asyncio.timeout(WAIT_S):
            while len(self.rung) < count or await self._unacknowledged():
                await asyncio.sleep(0.02)
        return [task_id for task_id, _ in self.rung]

    async def _unacknowledged(self) -> bool:
        info = await self.log.js.consumer_info(TIMERS, self.name)
        return bool(info.num_pending or info.num_ack_pending)


@pytest.fixture
async def clock(log: EventLog, server_url: str) -> AsyncIterator[Clock]:
    """On the shared server, and on the shared cluster."""
    clock = Clock(log, server_url)
    await log.js.add_consumer(TIMERS, clock.consumer.config())
    yield clock
    await log.js.delete_consumer(TIMERS, clock.name)


async def test_timers_ring_when_they_are_due(clock: Clock) -> None:
    async with ringing(clock.url, "test", clock.consumer, clock.ring):
        began = datetime.now(UTC)
        await clock.set("overdue", -3600, began)
        await clock.set("second", 3, began)
        await clock.set("first", 2, began)
        await clock.set("replaced", 3600, began)
        await clock.set("replaced", 4, began)
        assert await clock.heard(4) == ["overdue", "first", "second", "replaced"]
    for due_s, (_, rang) in zip((0, 2, 3, 4), clock.rung, strict=True):
        assert rang - began.timestamp() >= due_s


async def test_a_timer_rings_again_until_it_is_heeded(clock: Clock) -> None:
    clock.outcomes = [Transient("not now"), TaskNotFound("gone")]
    async with ringing(clock.url, "test", clock.consumer, clock.ring):
        await clock.set("t", 0)
        assert await clock.heard(2) == ["t", "t"], "what the task does not allow any more is not repeated"


async def test_timers_survive_the_server_and_their_listeners(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log:
        clock = Clock(log, own_nats_server.url)
        await log.js.add_consumer(TIMERS, clock.consumer.config())
        await clock.set("during", 0.5)
        await clock.set("after", 3)
        own_nats_server.kill()
        with pytest.raises(LogUnavailable):
            await clock.set("never", 0)
        await asyncio.sleep(0.5)
        own_nats_server.start()
        async with ringing(clock.url, "test", clock.consumer, clock.ring):
            assert await clock.heard(2) == ["during", "after"]
