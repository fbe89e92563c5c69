"""Secrets rest sealed, are read back with any configured key, and vanish."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from contracts.tests.examples import CAUSE, CREATED, FAILURE
from panoreel.contracts import commands, events
from panoreel.eventlog.errors import LogUnavailable, SecretsUnavailable
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.eventlog.topology import SECRETS
from tests.servers.nats import NatsCluster, NatsServer

SECRET = "https://example.com/room?token=s3cr3t"
OLD_KEY, NEW_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


async def test_sealed_secrets_are_read_back_through_every_node(
    nats_cluster: NatsCluster, task_id: str
) -> None:
    """Nodes that do not lead learn of a write a little later, and must not be asked."""
    async with AsyncExitStack() as stack:
        logs = [await stack.enter_async_context(open_log(node.url, "test")) for node in nats_cluster.nodes]
        stores = [SecretStore(log, [OLD_KEY]) for log in logs]
        for number in range(30):
            secrets = TaskSecrets(record_url=f"{SECRET}{number}")
            await stores[number % 3].seal(f"{task_id}-{number}", secrets)
            found = await asyncio.gather(*(store.unseal(f"{task_id}-{number}") for store in stores))
            assert found == [secrets] * 3


async def test_nothing_readable_is_stored_or_shown(log: EventLog, task_id: str) -> None:
    secrets = TaskSecrets(record_url=SECRET, callback_url=f"{SECRET}-too")
    await SecretStore(log, [OLD_KEY]).seal(task_id, secrets)
    stored = await (await log.js.key_value(SECRETS)).get(task_id)
    assert b"s3cr3t" not in (stored.value or b"")
    assert "s3cr3t" not in repr(secrets)


async def test_keys_rotate(log: EventLog, task_id: str) -> None:
    secrets = TaskSecrets(record_url=SECRET)
    await SecretStore(log, [OLD_KEY]).seal(task_id, secrets)
    rotated = SecretStore(log, [NEW_KEY, OLD_KEY])
    assert await rotated.unseal(task_id) == secrets
    await rotated.seal(task_id, secrets)
    assert await SecretStore(log, [NEW_KEY]).unseal(task_id) == secrets
    with pytest.raises(SecretsUnavailable):
        await SecretStore(log, [OLD_KEY]).unseal(task_id)


async def test_purged_secrets_are_gone(log: EventLog, task_id: str) -> None:
    store = SecretStore(log, [OLD_KEY])
    keys = (task_id, f"{task_id}.2", f"{task_id}0")
    for key in keys:
        await store.seal(key, TaskSecrets(record_url=SECRET))
    await store.purge(task_id)
    for key in keys[:2]:
        with pytest.raises(SecretsUnavailable):
            await store.unseal(key)
    assert await store.unseal(keys[2]), "another task's"
    await store.purge(task_id)
    await store.purge(f"{task_id}-unknown")
    with pytest.raises(SecretsUnavailable):
        await store.unseal(f"{task_id}-unknown")


async def test_what_nobody_will_purge_is_swept(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log:
        store = SecretStore(log, [OLD_KEY])
        for key in ("finished", "finished.2", "running", "running.2", "never"):
            await store.seal(key, TaskSecrets(record_url=SECRET))
        for task_id in ("finished", "running"):
            await log.execute(task_id, commands.Create(CREATED), CAUSE)
        await log.execute("finished", commands.Claim("r"), CAUSE)
        await log.execute("finished", commands.FailRecording(1, None, FAILURE), CAUSE)
        await log.execute("finished", commands.ReportCallback(events.CallbackSkipped()), CAUSE)

        assert sorted(await store.sweep(timedelta(hours=1))) == ["finished", "finished.2"]
        assert await store.unseal("never"), "it may still get its task"
        assert await store.sweep(timedelta(0)) == ["never"]
        assert await store.unseal("running")
        assert await store.unseal("running.2")
        with pytest.raises(SecretsUnavailable):
            await store.unseal("never")


async def test_absent_server_is_told_apart_from_absent_secrets(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log:
        store = SecretStore(log, [OLD_KEY])
        own_nats_server.kill()
        with pytest.raises(LogUnavailable):
            await store.unseal("t")
        with pytest.raises(LogUnavailable):
            await store.seal("t", TaskSecrets(record_url=SECRET))
        with pytest.raises(LogUnavailable):
            await store.sweep(timedelta(0))
