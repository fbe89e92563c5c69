"""Reading: in order, from any position, nothing missing and nothing twice, whatever happens to the server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.tests.examples import BEGIN, CAUSE, CREATED
from panoreel.contracts import commands, events
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reading import BATCH, scan
from tests.servers.nats import NatsCluster, NatsServer, running_cluster
from tests.servers.proxy import lossy_proxy

RESUME_S = 20.0
"""A reader must go on this soon after its server is back."""


async def append_many(log: EventLog, task_id: str, count: int, after: int) -> list[StoredEvent]:
    """Distinguishable events, in batches."""
    appended: list[StoredEvent] = []
    while len(appended) < count:
        batch = [
            events.RecordingStarted(epoch=1, wall_time=BEGIN + timedelta(seconds=len(appended) + offset))
            for offset in range(min(100, count - len(appended)))
        ]
        appended += await log.append(task_id, batch, appended[-1].seq if appended else after, CAUSE)
    return appended


async def take(source: AsyncGenerator[StoredEvent], count: int) -> list[StoredEvent]:
    async with asyncio.timeout(RESUME_S):
        return [await anext(source) for _ in range(count)]


async def test_long_history_is_read_whole_and_in_order(log: EventLog, task_id: str) -> None:
    created = await log.append(task_id, [CREATED], 0, CAUSE)
    other = await log.append(f"{task_id}-b", [CREATED], 0, CAUSE)
    appended = await append_many(log, task_id, BATCH + 300, created[-1].seq)
    assert [stored async for stored in log.history(task_id)] == [*created, *appended]
    assert [stored async for stored in log.history(f"{task_id}-b")] == list(other)
    task, seq = await log.load(task_id)
    assert task is not None
    assert (seq, task.start_time) == (appended[-1].seq, BEGIN)


async def test_what_one_node_took_is_known_through_all(nats_cluster: NatsCluster, task_id: str) -> None:
    """Nodes that do not lead learn of a write a little later, and must not be asked."""
    async with AsyncExitStack() as stack:
        logs = [await stack.enter_async_context(open_log(node.url, "test")) for node in nats_cluster.nodes]
        for number in range(30):
            one = f"{task_id}-{number}"
            created = await logs[number % 3].execute(one, commands.Create(CREATED), CAUSE)
            found = await asyncio.gather(*(log.load(one) for log in logs))
            assert [seq for _, seq in found] == [created.seq] * 3


async def test_follow_begins_after_a_position_and_goes_on(log: EventLog, task_id: str) -> None:
    created = await log.append(task_id, [CREATED], 0, CAUSE)
    first = await append_many(log, task_id, 3, created[-1].seq)
    async with aclosing(log.follow(task_id, first[0].seq)) as following:
        assert await take(following, 2) == first[1:]
        more = await append_many(log, task_id, 2, first[-1].seq)
        assert await take(following, 2) == more


async def test_follow_survives_a_power_failure(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log, aclosing(log.follow("t", 0)) as following:
        before = await append_many(log, "t", 5, 0)
        assert await take(following, 3) == before[:3]
        own_nats_server.kill()
        own_nats_server.start()
        after = await append_many(log, "t", 5, before[-1].seq)
        assert await take(following, 7) == [*before[3:], *after]


async def test_read_all_survives_broken_connections(nats_server: NatsServer, task_id: str) -> None:
    """Messages that are lost on the way are fetched again; every position comes once and in order."""
    count = 2000
    async with open_log(nats_server.url, "writer") as writer, lossy_proxy(nats_server.port) as proxy:
        [created] = await writer.append(task_id, [CREATED], 0, CAUSE)
        appended = await append_many(writer, task_id, count, created.seq)
        async with open_log(proxy.url, "test") as log:
            proxy.break_after(300_000)
            seen: list[StoredEvent] = []
            async with asyncio.timeout(RESUME_S), aclosing(log.read_all(created.seq)) as batches:
                async for batch in batches:
                    seen += batch
                    if len(seen) >= count:
                        break
            assert log.client.stats["reconnects"] == 1
    assert seen == appended


async def test_cluster_goes_on_without_its_leader(tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        async with open_log(cluster.url, "test") as log, aclosing(log.follow("t", 0)) as following:
            before = await append_many(log, "t", 3, 0)
            assert await take(following, 3) == before
            info = (await log.js.stream_info("TASKS")).cluster
            assert info
            assert info.leader
            cluster.node(info.leader).kill()
            after = await append_many(log, "t", 3, before[-1].seq)
            assert await take(following, 3) == after
            assert [stored async for stored in log.history("t")] == [*before, *after]


async def test_unreadable_history_is_not_skipped(log: EventLog, task_id: str) -> None:
    await log.append(task_id, [CREATED], 0, CAUSE)
    await log.js.publish(f"task.{task_id}.pause_requested", b"{}", headers={"Nats-Msg-Id": task_id})
    with pytest.raises(UndecodableEvent):
        await log.load(task_id)


async def test_missing_stream_is_not_an_empty_one(log: EventLog) -> None:
    with pytest.raises(LogUnavailable):
        async for _ in scan(log.js, "NOPE", "nope.>"):
            pass
