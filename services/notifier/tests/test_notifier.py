"""The notifier against a real log, real secrets and real receivers."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from panoreel.contracts.answers import describe
from panoreel.contracts.commands import ReportCallback
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import CallbackDelivered, CallbackFailed, CallbackSkipped, Event, Failure
from panoreel.contracts.task import Phase
from panoreel.eventlog.errors import Permanent, SecretsUnavailable
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.eventlog.topology import NOTIFIER, TASKS
from panoreel.notifier.callback import Reach
from panoreel.notifier.worker import AT_ONCE, Notifier
from services.notifier.tests.receivers import SILENCE, Receiver, status
from tests.servers.nats import NatsServer
from tests.servers.service import running_service

Receive = Callable[..., Awaitable[Receiver]]
End = Callable[..., Awaitable[StoredEvent]]
LOOPBACK = Reach((IPv4Network("127.0.0.1/32"),))


@pytest.fixture
def secrets(log: EventLog, secret_key: str) -> SecretStore:
    return SecretStore(log, [secret_key])


@pytest.fixture
def notifier(log: EventLog, secrets: SecretStore) -> Notifier:
    return Notifier(log, secrets, LOOPBACK)


async def last_event(log: EventLog, task_id: str) -> Event:
    return [stored async for stored in log.history(task_id)][-1].event


async def assert_purged(secrets: SecretStore, task_id: str) -> None:
    with pytest.raises(SecretsUnavailable):
        await secrets.unseal(task_id)


async def test_tells_records_and_forgets(
    notifier: Notifier, log: EventLog, secrets: SecretStore, receive: Receive, end: End
) -> None:
    receiver = await receive(status(200))
    ended = await end(log, receiver.url)
    before, _ = await log.load(ended.task_id)
    assert before
    await notifier.tell(ended)
    [request] = receiver.received
    body = json.loads(request.body)
    assert body == describe(before)
    assert body["Status"] == "callback"
    assert body["Result"]["Videos"][0]["FileURL"] == "https://example.com/x.mp4"
    assert request.headers["webhook-id"] == "msg_" + ended.task_id.replace("-", "")
    assert await last_event(log, ended.task_id) == CallbackDelivered(attempts=1)
    events = [stored async for stored in log.history(ended.task_id)]
    assert events[-1].envelope.cause == Cause("notifier", "request-1", str(ended.envelope.id))
    await assert_purged(secrets, ended.task_id)


async def test_nobody_to_tell(notifier: Notifier, log: EventLog, secrets: SecretStore, end: End) -> None:
    ended = await end(log, None)
    await notifier.tell(ended)
    assert await last_event(log, ended.task_id) == CallbackSkipped()
    await assert_purged(secrets, ended.task_id)


async def test_failures_are_told_as_well(
    notifier: Notifier, log: EventLog, receive: Receive, end: End
) -> None:
    receiver = await receive(status(200))
    await notifier.tell(await end(log, receiver.url, Failure(code="InternalErr", message="no such host")))
    assert json.loads(receiver.received[0].body)["Result"] == {
        "ErrorCode": "InternalErr",
        "ErrorMessage": "no such host",
    }


async def test_an_untold_result_is_kept(
    notifier: Notifier, log: EventLog, secrets: SecretStore, receive: Receive, end: End
) -> None:
    receiver = await receive(status(410))
    ended = await end(log, receiver.url)
    await notifier.tell(ended)
    task, _ = await log.load(ended.task_id)
    assert task
    assert task.failure
    assert (task.status, task.failure.code) == ("finished", "CallbackFailed")
    assert task.failure.message.endswith("last error message:HTTP 410")
    assert task.videos
    await assert_purged(secrets, ended.task_id)


async def test_a_finished_task_is_not_told_again_but_forgotten(
    notifier: Notifier, log: EventLog, secrets: SecretStore, receive: Receive, end: End
) -> None:
    """The process was killed between the record and the purge."""
    receiver = await receive(status(200))
    ended = await end(log, receiver.url)
    delivered = ReportCallback(CallbackDelivered(attempts=1))
    await log.execute(ended.task_id, delivered, Cause("notifier"))
    await notifier.tell(ended)
    assert receiver.received == []
    await assert_purged(secrets, ended.task_id)


async def test_a_url_that_cannot_be_unsealed(log: EventLog, receive: Receive, end: End) -> None:
    receiver = await receive(status(200))
    ended = await end(log, receiver.url)
    stranger = Notifier(log, SecretStore(log, [Fernet.generate_key().decode()]), LOOPBACK)
    with pytest.raises(Permanent, match="sealed with a key") as refusal:
        await stranger.tell(ended)
    await stranger.give_up(ended, Failure(code=refusal.value.code, message=str(refusal.value)))
    task, _ = await log.load(ended.task_id)
    assert task
    assert task.phase == Phase.FINISHED
    assert isinstance(await last_event(log, ended.task_id), CallbackFailed)
    assert receiver.received == []


async def test_a_rotated_key_still_unseals(
    log: EventLog, secret_key: str, receive: Receive, end: End
) -> None:
    receiver = await receive(status(200))
    ended = await end(log, receiver.url)
    await Notifier(log, SecretStore(log, [Fernet.generate_key().decode(), secret_key]), LOOPBACK).tell(ended)
    assert len(receiver.received) == 1


async def test_secrets_of_others_stay(
    notifier: Notifier, log: EventLog, secrets: SecretStore, end: End
) -> None:
    ended = await end(log, None)
    other = TaskSecrets(record_url="https://example.com/")
    await secrets.seal(ended.task_id + "0", other)
    await notifier.tell(ended)
    assert await secrets.unseal(ended.task_id + "0") == other


def service(
    nats_url: str, secret_key: str, directory: Path
) -> AbstractAsyncContextManager[subprocess.Popen[bytes]]:
    """A notifier that is ready; it is killed in the end."""
    settings = {
        "PANOREEL_NATS_URL": nats_url,
        "PANOREEL_SECRET_KEYS": json.dumps([secret_key]),
        "PANOREEL_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    }
    return running_service("notifier", settings, directory)


async def finished(log: EventLog, task_id: str) -> None:
    async with asyncio.timeout(60):
        while (task := (await log.load(task_id))[0]) is None or task.phase < Phase.FINISHED:
            await asyncio.sleep(0.05)


async def test_a_receiver_that_hangs_keeps_nobody_waiting(
    own_nats_server: NatsServer, secret_key: str, receive: Receive, end: End, tmp_path: Path
) -> None:
    silent, willing = await receive(SILENCE), await receive(status(200))
    async with (
        open_log(own_nats_server.url, "test") as log,
        service(own_nats_server.url, secret_key, tmp_path) as process,
    ):
        hanging = [await end(log, silent.url) for _ in range(AT_ONCE - 1)]
        ended = await end(log, willing.url)
        await finished(log, ended.task_id)
        for waiting in hanging:
            task, _ = await log.load(waiting.task_id)
            assert task
            assert task.phase == Phase.CALLBACK
        process.kill()


async def test_a_killed_notifier_leaves_the_work_to_the_next(
    own_nats_server: NatsServer, secret_key: str, receive: Receive, end: End, tmp_path: Path
) -> None:
    """It dies between the attempt and the record: the receiver hears the same message again."""
    receiver = await receive(SILENCE, status(200))
    async with open_log(own_nats_server.url, "test") as log:
        await log.js.add_consumer(TASKS, replace(NOTIFIER, ack_wait_s=2).config())
        async with service(own_nats_server.url, secret_key, tmp_path):
            ended = await end(log, receiver.url)
            async with asyncio.timeout(60):
                while not receiver.received:
                    await asyncio.sleep(0.02)
        async with service(own_nats_server.url, secret_key, tmp_path) as process:
            await finished(log, ended.task_id)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
        await assert_purged(SecretStore(log, [secret_key]), ended.task_id)
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    lines = (tmp_path / "log").read_text()
    assert "s3cr3t" not in lines
