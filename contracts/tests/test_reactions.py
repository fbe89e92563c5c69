"""Reactions: at least once, with pauses, and what cannot be handled ends in `DEAD`."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from contracts.tests.examples import CAUSE, CREATED
from panoreel.contracts import commands, events
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure
from panoreel.eventlog import reactions
from panoreel.eventlog.errors import LogUnavailable, Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import reacting, retry_delay_s
from panoreel.eventlog.topology import ACK_WAIT_S, DEAD, SPARE_DELIVERIES, TASKS, DurableConsumer
from tests.servers.nats import NatsServer

WAIT_S = 20.0


class Service:
    """A service that notes what it is given and does what the test wants."""

    def __init__(self) -> None:
        self.handled: list[StoredEvent] = []
        self.given_up: list[Failure] = []
        self.times: list[float] = []
        self.outcomes: list[Exception | float] = []
        self.giving_up: list[Exception] = []

    async def handle(self, event: StoredEvent) -> None:
        """Raise the next outcome, or take that many seconds; without one, succeed at once."""
        self.handled.append(event)
        self.times.append(time.monotonic())
        outcome = self.outcomes.pop(0) if self.outcomes else 0.0
        if isinstance(outcome, Exception):
            raise outcome
        await asyncio.sleep(outcome)

    async def give_up(self, event: StoredEvent, failure: Failure) -> None:
        """Note the failure, or fail oneself."""
        self.given_up.append(failure)
        if self.giving_up:
            raise self.giving_up.pop(0)


class Bench:
    """One durable consumer of one task's events, and a service that reacts to them."""

    def __init__(self, log: EventLog, url: str, task_id: str) -> None:
        self.log = log
        self.task_id = task_id
        self.service = Service()
        self._url = url
        self._consumer = DurableConsumer(task_id, (f"task.{task_id}.>",))

    async def consume(self, max_deliver: int = 3, ack_wait_s: float = 2.0) -> None:
        """Create the consumer."""
        self._consumer = DurableConsumer(self.task_id, self._consumer.filters, max_deliver, ack_wait_s)
        await self.log.js.add_consumer(TASKS, self._consumer.config())

    async def append(self) -> StoredEvent:
        """Append one event."""
        _, seq = await self.log.load(self.task_id)
        [stored] = await self.log.append(
            self.task_id, [events.RefreshRequested() if seq else CREATED], seq, CAUSE
        )
        return stored

    def reacting(self, service: Service | None = None) -> AbstractAsyncContextManager[None]:
        """Run one replica of the service."""
        service = service or self.service
        return reacting(self._url, "test", self._consumer, service.handle, service.give_up)

    async def take_and_die(self) -> None:
        """Take a delivery as a replica that dies with it."""
        subscription = await self.log.js.pull_subscribe_bind(self.task_id, TASKS)
        await subscription.fetch(1, timeout=0.4)
        await subscription.unsubscribe()

    async def settled(self) -> None:
        """Wait until nothing is left to deliver."""
        async with asyncio.timeout(WAIT_S):
            while True:
                info = await self.log.js.consumer_info(TASKS, self.task_id)
                if not info.num_pending and not info.num_ack_pending:
                    return
                await asyncio.sleep(0.02)

    async def advisories(self) -> list[dict[str, Any]]:
        """What `DEAD` holds about this consumer."""
        subject = f"$JS.EVENT.ADVISORY.CONSUMER.*.{TASKS}.{self.task_id}"
        counts = (await self.log.js.stream_info(DEAD, subjects_filter=subject)).state.subjects or {}
        assert set(counts.values()) <= {1}
        found = [await self.log.js.get_msg(DEAD, subject=subject) for subject in counts]
        return [json.loads(message.data or b"") for message in found]

    async def death(self) -> dict[str, Any]:
        """The one advisory, once it is there."""
        async with asyncio.timeout(WAIT_S):
            while not (found := await self.advisories()):
                await asyncio.sleep(0.02)
        [advisory] = found
        return advisory


@pytest.fixture
async def bench(nats_server: NatsServer, task_id: str) -> AsyncIterator[Bench]:
    """A bench on the shared server."""
    async with on_server(nats_server, task_id) as bench:
        yield bench


@asynccontextmanager
async def on_server(server: NatsServer, task_id: str) -> AsyncIterator[Bench]:
    async with open_log(server.url, "test") as log:
        bench = Bench(log, server.url, task_id)
        await bench.consume()
        yield bench


async def test_events_are_handled_once_and_in_order(bench: Bench) -> None:
    appended = [await bench.append() for _ in range(5)]
    async with bench.reacting():
        await bench.settled()
        appended.append(await bench.append())
        await bench.settled()
    assert bench.service.handled == appended
    assert await bench.advisories() == []


async def test_replicas_share_the_work(bench: Bench) -> None:
    appended = [await bench.append() for _ in range(6)]
    other = Service()
    bench.service.outcomes, other.outcomes = [0.1] * 6, [0.1] * 6
    async with bench.reacting(), bench.reacting(other):
        await bench.settled()
    assert bench.service.handled
    assert other.handled
    both = sorted([*bench.service.handled, *other.handled], key=lambda stored: stored.seq)
    assert both == appended


async def test_failure_is_tried_again_after_a_pause(bench: Bench) -> None:
    await bench.consume(ack_wait_s=ACK_WAIT_S)
    await bench.append()
    bench.service.outcomes = [Transient("not now")]
    async with bench.reacting():
        await bench.settled()
    first, second = bench.service.times
    # Later than asked for on a busy machine, but before the acknowledgement time would be over.
    assert retry_delay_s(1) <= second - first < ACK_WAIT_S
    assert bench.service.given_up == []


def test_pauses_grow_and_are_bounded() -> None:
    assert [retry_delay_s(deliveries) for deliveries in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]


async def test_last_attempt_gives_up(bench: Bench) -> None:
    await bench.consume(max_deliver=2)
    stored = await bench.append()
    bench.service.outcomes = [KeyError("a bug")] * 9
    async with bench.reacting():
        await bench.settled()
    assert len(bench.service.handled) == 2
    assert bench.service.given_up == [Failure(code="InternalError", message="'a bug' (after 2 attempts)")]
    advisory = await bench.death()
    assert advisory["stream_seq"] == stored.seq
    assert advisory["type"] == "io.nats.jetstream.advisory.v1.terminated"


async def test_event_that_ends_every_process_is_given_up(bench: Bench) -> None:
    await bench.consume(max_deliver=1, ack_wait_s=0.2)
    await bench.append()
    await bench.take_and_die()
    async with bench.reacting():
        await bench.settled()
    assert bench.service.handled == []
    assert [failure.message for failure in bench.service.given_up] == ["no success in 1 attempts"]
    assert await bench.death()


async def test_event_that_cannot_even_be_given_up_is_dead(bench: Bench) -> None:
    await bench.consume(max_deliver=1, ack_wait_s=0.05)
    stored = await bench.append()
    for _ in range(1 + SPARE_DELIVERIES):
        await bench.take_and_die()
    with pytest.raises(TimeoutError):
        await bench.take_and_die()
    advisory = await bench.death()
    assert advisory["type"] == "io.nats.jetstream.advisory.v1.max_deliver"
    assert advisory["stream_seq"] == stored.seq


async def test_permanent_failure_gives_up_at_once(bench: Bench) -> None:
    stored = await bench.append()
    bench.service.outcomes = [Permanent("NoSuchBucket", "the bucket does not exist")]
    async with bench.reacting():
        await bench.settled()
        await bench.append()
        await bench.settled()
    assert bench.service.given_up == [Failure(code="NoSuchBucket", message="the bucket does not exist")]
    assert len(bench.service.handled) == 2
    advisory = await bench.death()
    assert advisory["stream_seq"] == stored.seq


async def test_giving_up_is_tried_again(bench: Bench) -> None:
    """Otherwise an outage at the wrong moment would leave the task where it is for ever."""
    await bench.consume(max_deliver=1)
    await bench.append()
    bench.service.outcomes = [Transient("not now")]
    bench.service.giving_up = [LogUnavailable("away")]
    async with bench.reacting():
        await bench.settled()
    assert len(bench.service.handled) == 1
    assert [failure.message for failure in bench.service.given_up] == [
        "not now (after 1 attempts)",
        "no success in 1 attempts",
    ]
    assert await bench.death()


async def test_moved_on_task_needs_nothing(bench: Bench) -> None:
    await bench.append()
    await bench.append()
    bench.service.outcomes = [commands.StaleEpoch("somebody else was faster"), Permanent("Code", "broken")]
    bench.service.giving_up = [commands.InvalidStatus("somebody else was faster")]
    async with bench.reacting():
        await bench.settled()
    assert len(bench.service.handled) == 2
    assert len(bench.service.given_up) == 1
    assert await bench.advisories() == []


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        (None, b"{}"),
        ({"Panoreel-Type": "task_exploded"}, b"{}"),
        ({}, b"\xff"),
        ({"Panoreel-Version": "2"}, b"{}"),
    ],
    ids=["no envelope", "unknown type", "not JSON", "from the future"],
)
async def test_unreadable_event_is_dead_and_stops_nobody(
    bench: Bench, headers: dict[str, str] | None, payload: bytes
) -> None:
    readable = await bench.append()
    envelope = replace(readable.envelope, id=uuid4()).headers()
    subject = f"task.{bench.task_id}.unreadable"
    ack = await bench.log.js.publish(
        subject, payload, headers=None if headers is None else envelope | headers
    )
    [last] = await bench.log.append(bench.task_id, [events.RefreshRequested()], ack.seq, CAUSE)
    async with bench.reacting():
        await bench.settled()
    assert bench.service.handled == [readable, last]
    advisory = await bench.death()
    assert advisory["stream_seq"] == ack.seq


async def test_long_work_is_kept_alive(bench: Bench) -> None:
    await bench.consume(ack_wait_s=3.0)
    await bench.append()
    other = Service()
    bench.service.outcomes, other.outcomes = [4.0], [4.0]
    async with bench.reacting(), bench.reacting(other):
        await bench.settled()
    assert len(bench.service.handled) + len(other.handled) == 1


async def test_work_of_a_dead_replica_is_taken_over(bench: Bench) -> None:
    await bench.consume(ack_wait_s=1.0)
    await bench.append()
    started = time.monotonic()
    await bench.take_and_die()
    async with bench.reacting():
        await bench.settled()
    assert len(bench.service.handled) == 1
    assert bench.service.times[0] - started >= 1.0


async def test_shutdown_hands_unfinished_work_to_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "GRACEFUL_STOP_S", 0.2)
    await bench.consume(ack_wait_s=30.0)
    await bench.append()
    bench.service.outcomes = [60.0]
    async with bench.reacting():
        async with asyncio.timeout(WAIT_S):
            while not bench.service.handled:
                await asyncio.sleep(0.02)
    other = Service()
    async with bench.reacting(other):
        await bench.settled()
    assert len(other.handled) == 1
    assert bench.service.given_up == []


async def test_shutdown_lets_work_finish(bench: Bench) -> None:
    await bench.append()
    bench.service.outcomes = [0.5]
    async with bench.reacting():
        async with asyncio.timeout(WAIT_S):
            while not bench.service.handled:
                await asyncio.sleep(0.02)
    info = await bench.log.js.consumer_info(TASKS, bench.task_id)
    assert info.num_ack_pending == 0
    assert len(bench.service.handled) == 1


async def test_reactions_go_on_after_a_power_failure(own_nats_server: NatsServer) -> None:
    async with on_server(own_nats_server, "t") as bench, bench.reacting():
        await bench.append()
        await bench.settled()
        own_nats_server.kill()
        own_nats_server.start()
        await bench.append()
        await bench.settled()
        # Which events were acknowledged right before may be forgotten: they come once more.
        assert {stored.seq for stored in bench.service.handled} == {1, 2}


def test_server_delivers_more_often_than_attempts_are_made() -> None:
    assert DurableConsumer("n", ("f",), max_deliver=3).config().max_deliver == 3 + SPARE_DELIVERIES
    assert DurableConsumer("n", ("f",), max_deliver=-1).config().max_deliver == -1
