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


@pytest.fixture
async def queue(log: EventLog) -> AsyncIterator[ClaimQueue]:
    async with ClaimQueue.open(log) as queue:
        yield queue


async def create(log: EventLog, task_id: str, priority: Priority = Priority.NORMAL) -> None:
    created = CREATED.model_copy(update={"priority": priority})
    await log.execute(task_id, commands.Create(created), CAUSE)


async def offered(queue: ClaimQueue) -> Offer:
    async with asyncio.timeout(WAIT_S):
        while not (offer := await queue.next()):
            pass
    return offer


async def test_nothing_waits(queue: ClaimQueue) -> None:
    started = time.monotonic()
    async with asyncio.timeout(WAIT_S):
        assert await queue.next() is None
    assert time.monotonic() - started > 0.25


async def test_higher_priorities_come_first(log: EventLog, queue: ClaimQueue) -> None:
    for priority in reversed(Priority):
        await create(log, f"{priority}-1", priority)
        await create(log, f"{priority}-2", priority)
    offers = [await offered(queue) for _ in range(6)]
    expected = ["high-1", "high-2", "normal-1", "normal-2", "low-1", "low-2"]
    assert [offer.event.task_id for offer in offers] == expected


async def test_accepted_task_is_gone_and_a_declined_one_comes_back(log: EventLog, queue: ClaimQueue) -> None:
    await create(log, "accepted")
    await create(log, "declined")
    await (await offered(queue)).accept()
    offer = await offered(queue)
    assert offer.event.task_id == "declined"
    started = time.monotonic()
    await offer.decline(0.5)
    again = await offered(queue)
    assert again.event == offer.event
    assert time.monotonic() - started > 0.4
    await again.accept()
    assert await queue.next() is None


async def test_lost_task_is_offered_before_all_that_have_not_begun(log: EventLog, queue: ClaimQueue) -> None:
    await create(log, "t", Priority.LOW)
    await (await offered(queue)).accept()
    await log.execute("t", commands.Claim("r"), CAUSE)
    await create(log, "urgent", Priority.HIGH)
    await log.execute("t", commands.ReportLost(1, None, "gone"), CAUSE)
    offer = await offered(queue)
    assert (offer.event.task_id, offer.event.event.type) == ("t", "recorder_lost")


async def test_two_recorders_never_hold_the_same_task(
    log: EventLog, queue: ClaimQueue, own_nats_server: NatsServer
) -> None:
    count = 30
    for number in range(count):
        await create(log, f"t{number}")

    async def drain(queue: ClaimQueue) -> list[str]:
        held = []
        while offer := await queue.next():
            held.append(offer.event.task_id)
            await offer.accept()
        return held

    async with open_log(own_nats_server.url, "other") as other, ClaimQueue.open(other) as others:
        one, two = await asyncio.gather(drain(queue), drain(others))
    assert one
    assert two
    assert sorted(one + two) == sorted(f"t{number}" for number in range(count))


async def test_unreadable_task_is_put_aside(log: EventLog, queue: ClaimQueue) -> None:
    await log.js.publish("task.unreadable.task_created.high", b"{}")
    await create(log, "t")
    assert (await offered(queue)).event.task_id == "t"
    info = await log.js.consumer_info(TASKS, CLAIMS[1].name)
    assert (info.num_pending, info.num_ack_pending) == (0, 0)


@pytest.mark.parametrize("priority", Priority)
async def test_whoever_waits_hears_of_a_task_at_once(
    log: EventLog, queue: ClaimQueue, monkeypatch: pytest.MonkeyPatch, priority: Priority
) -> None:
    monkeypatch.setattr(claims, "LINGER_S", 60.0)
    waiting = asyncio.create_task(queue.next())
    await asyncio.sleep(0.3)
    await create(log, "t", priority)
    async with asyncio.timeout(WAIT_S):
        assert (await waiting) is not None


async def test_whoever_waits_no_more_holds_nothing(log: EventLog, queue: ClaimQueue) -> None:
    gone = asyncio.create_task(queue.next())
    await asyncio.sleep(0.1)
    gone.cancel()
    await asyncio.wait({gone})
    await create(log, "t")
    assert (await offered(queue)).event.task_id == "t"


async def test_offers_go_on_after_a_power_failure(
    log: EventLog, queue: ClaimQueue, own_nats_server: NatsServer
) -> None:
    assert await queue.next() is None
    own_nats_server.kill()
    assert await queue.next() is None
    own_nats_server.start()
    await create(log, "t")
    assert (await offered(queue)).event.task_id == "t"
