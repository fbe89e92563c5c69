"""Waiting tasks are offered by priority, to one recorder at a time, until one accepts."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from contracts.tests.examples import CAUSE, CREATED
from panoreel.contracts import commands
from panoreel.contracts.identifiers import Priority
from panoreel.eventlog import claims
from panoreel.eventlog.claims import ClaimQueue, Offer
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.topology import CLAIMS, TASKS
from tests.servers.nats import NatsServer

WAIT_S = 8.0


@pytest.fixture
async def log(own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventLog]:
    """A log in which nobody else's tasks wait."""
    monkeypatch.setattr(claims, "LINGER_S", 0.3)
    async with open_log(own_nats_server.url, "test") as log:
        yield log


async def create(log: EventLog, task_id: str, priority: Priority = Priority.NORMAL) -> None:
    created = CREATED.model_copy(update={"priority": priority})
    await log.execute(task_id, commands.Create(created), CAUSE)


async def offered(queue: ClaimQueue) -> Offer:
    async with asyncio.timeout(WAIT_S):
        while not (offer := await queue.next()):
            pass
    return offer


async def test_nothing_waits(log: EventLog) -> None:
    queue = await ClaimQueue.open(log)
    started = time.monotonic()
    assert await queue.next() is None
    assert 0.35 < time.monotonic() - started < 1


async def test_higher_priorities_come_first(log: EventLog) -> None:
    for priority in reversed(Priority):
        await create(log, f"{priority}-1", priority)
        await create(log, f"{priority}-2", priority)
    queue = await ClaimQueue.open(log)
    offers = [await offered(queue) for _ in range(6)]
    expected = ["high-1", "high-2", "normal-1", "normal-2", "low-1", "low-2"]
    assert [offer.event.task_id for offer in offers] == expected


async def test_accepted_task_is_gone_and_a_declined_one_comes_back(log: EventLog) -> None:
    await create(log, "accepted")
    await create(log, "declined")
    queue = await ClaimQueue.open(log)
    await (await offered(queue)).accept()
    offer = await offered(queue)
    assert offer.event.task_id == "declined"
    started = time.monotonic()
    await offer.decline(0.5)
    again = await offered(queue)
    assert again.event == offer.event
    assert 0.4 < time.monotonic() - started < 1.2
    await again.accept()
    assert await queue.next() is None


async def test_lost_task_is_offered_again(log: EventLog) -> None:
    await create(log, "t", Priority.HIGH)
    queue = await ClaimQueue.open(log)
    await (await offered(queue)).accept()
    await log.execute("t", commands.Claim("r"), CAUSE)
    await log.execute("t", commands.ReportLost(1, None, "gone"), CAUSE)
    offer = await offered(queue)
    assert (offer.event.task_id, offer.event.event.type) == ("t", "recorder_lost")


async def test_two_recorders_never_hold_the_same_task(log: EventLog, own_nats_server: NatsServer) -> None:
    count = 30
    for number in range(count):
        await create(log, f"t{number}")

    async def drain(queue: ClaimQueue) -> list[str]:
        held = []
        while offer := await queue.next():
            held.append(offer.event.task_id)
            await offer.accept()
        return held

    async with open_log(own_nats_server.url, "other") as other:
        one, two = await asyncio.gather(
            drain(await ClaimQueue.open(log)), drain(await ClaimQueue.open(other))
        )
    assert one
    assert two
    assert sorted(one + two) == sorted(f"t{number}" for number in range(count))


async def test_unreadable_task_is_put_aside(log: EventLog) -> None:
    await log.js.publish("task.unreadable.task_created.high", b"{}")
    await create(log, "t")
    queue = await ClaimQueue.open(log)
    assert (await offered(queue)).event.task_id == "t"
    async with asyncio.timeout(5):
        while True:
            # A glance at the more urgent tasks may be too short to see it, and nobody waits for the answer.
            await queue.next()
            info = await log.js.consumer_info(TASKS, CLAIMS[0].name)
            if (info.num_pending, info.num_ack_pending) == (0, 0):
                return


async def test_offers_go_on_after_a_power_failure(log: EventLog, own_nats_server: NatsServer) -> None:
    queue = await ClaimQueue.open(log)
    assert await queue.next() is None
    own_nats_server.kill()
    assert await queue.next() is None
    own_nats_server.start()
    await create(log, "t")
    assert (await offered(queue)).event.task_id == "t"
