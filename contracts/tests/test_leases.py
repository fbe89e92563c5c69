"""A lease lasts for as long as it is renewed, and not much longer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from panoreel.eventlog import leases
from panoreel.eventlog.leases import Lease
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.topology import LEASES
from tests.servers.nats import NatsServer

WAIT_S = 15.0


@asynccontextmanager
async def kept(lease: Lease) -> AsyncIterator[None]:
    """Renew the lease for as long as the context lasts."""
    keeping = asyncio.create_task(lease.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def holder(bucket: KeyValue, task_id: str) -> str | None:
    """Who holds the task's lease."""
    try:
        entry = await bucket.get(task_id)
    except KeyNotFoundError:
        return None
    # Where a lease ran out, the server leaves a marker without content.
    return json.loads(entry.value)["recorder_id"] if entry.value else None


async def until_held_by(bucket: KeyValue, task_id: str, recorder_id: str | None) -> float:
    """The seconds until the lease is held by this recorder, or nobody."""
    started = time.monotonic()
    async with asyncio.timeout(WAIT_S):
        while await holder(bucket, task_id) != recorder_id:
            await asyncio.sleep(0.05)
    return time.monotonic() - started


async def test_lease_lasts_while_renewed_and_runs_out_after(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ttl_s = 2.5
    monkeypatch.setattr(leases, "RENEW_INTERVAL_S", 0.3)
    async with open_log(own_nats_server.url, "test") as log:
        stream = (await log.js.stream_info(f"KV_{LEASES}")).config
        await log.js.update_stream(replace(stream, max_age=ttl_s, duplicate_window=ttl_s))
        bucket = await log.js.key_value(LEASES)
        async with kept(Lease(log, "t", "a", 1)):
            await until_held_by(bucket, "t", "a")
            until = time.monotonic() + ttl_s + 0.5
            while time.monotonic() < until:
                await asyncio.sleep(0.1)
                assert await holder(bucket, "t") == "a"
        assert await until_held_by(bucket, "t", None) > 0.5


async def test_released_lease_is_gone_at_once(log: EventLog, task_id: str) -> None:
    bucket = await log.js.key_value(LEASES)
    lease = Lease(log, task_id, "a", 1)
    async with kept(lease):
        await until_held_by(bucket, task_id, "a")
    await lease.release()
    assert await holder(bucket, task_id) is None


async def test_released_lease_of_somebody_else_stays(log: EventLog, task_id: str) -> None:
    bucket = await log.js.key_value(LEASES)
    lost, current, never_held = (Lease(log, task_id, name, 1) for name in "abc")
    async with kept(lost):
        await until_held_by(bucket, task_id, "a")
    async with kept(current):
        await until_held_by(bucket, task_id, "b")
        await lost.release()
        await never_held.release()
        assert await holder(bucket, task_id) == "b"


async def test_lease_is_taken_again_after_an_outage(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_INTERVAL_S", 0.2)
    async with open_log(own_nats_server.url, "test") as log, kept(Lease(log, "t", "a", 1)):
        bucket = await log.js.key_value(LEASES)
        await until_held_by(bucket, "t", "a")
        own_nats_server.kill()
        await asyncio.sleep(0.5)
        own_nats_server.start()
        async with open_log(own_nats_server.url, "observer") as observer:
            seen = await observer.js.key_value(LEASES)
            await seen.purge("t")  # as if the lease had run out meanwhile
            await until_held_by(seen, "t", "a")
