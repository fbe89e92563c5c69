"""Applying the topology is repeatable, and a server that differs is noticed."""

from dataclasses import replace

import pytest

from panoreel.eventlog import topology
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.nats import NatsCluster, NatsServer


async def test_applying_again_changes_nothing(log: EventLog, server_url: str) -> None:
    before = await log.js.streams_info()
    await topology.apply(server_url, replicas=before[0].config.num_replicas or 1)
    after = await log.js.streams_info()
    assert [info.config for info in after] == [info.config for info in before]
    assert [info.created for info in after] == [info.created for info in before]
    assert await topology.diff(log.client) == []


async def test_cluster_holds_every_stream_three_times(nats_cluster: NatsCluster) -> None:
    async with open_log(nats_cluster.url, "test") as log:
        names = {info.config.name for info in await log.js.streams_info()}
        declared = {stream.name for stream in topology.STREAMS}
        assert names == declared | {f"KV_{bucket.bucket}" for bucket in topology.BUCKETS}
        for info in await log.js.streams_info():
            assert info.config.num_replicas == 3


async def test_buckets_are_never_read_from_a_replica_that_lags(log: EventLog) -> None:
    for bucket in topology.BUCKETS:
        assert not (await log.js.stream_info(f"KV_{bucket.bucket}")).config.allow_direct


async def test_changed_and_missing_parts_are_named(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log:
        tasks = (await log.js.stream_info("TASKS")).config
        await log.js.update_stream(replace(tasks, max_age=3600.0))
        await log.js.delete_stream("SEGMENTS")
        await log.js.delete_key_value("leases")
        await log.js.add_consumer("TASKS", replace(topology.UPLOADER.config(), ack_wait=7.0))
        await log.js.delete_consumer("TASKS", topology.NOTIFIER.name)
        assert await topology.diff(log.client) == [
            "stream TASKS: max_age should be 2592000 but is 3600.0",
            "stream SEGMENTS is missing",
            "bucket leases is missing",
            "consumer transcoder-segments is missing",
            "consumer uploader-ship: ack_wait should be 30.0 but is 7.0",
            "consumer notifier-tell is missing",
        ]
        await topology.apply(own_nats_server.url)
        assert await topology.diff(log.client) == ["stream TASKS: max_age should be 2592000 but is 3600.0"], (
            "an existing stream is an operator's to change; all else is brought up to date"
        )


async def test_history_can_be_neither_deleted_nor_purged(log: EventLog) -> None:
    ack = await log.js.publish("task.undeletable.pause_requested", b"{}")
    with pytest.raises(Exception, match="delete not permitted"):
        await log.js.delete_msg("TASKS", ack.seq)
    with pytest.raises(Exception, match="purge not permitted"):
        await log.js.purge_stream("TASKS")
