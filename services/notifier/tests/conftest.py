"""Receivers, and tasks of which they are to be told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Failure, OutputsPackaged, OutputsUploaded, TaskCreated, Video
from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.urls import redacted
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from services.notifier.tests.receivers import Receiver
from tests.servers.nats import NatsServer

End = Callable[..., Awaitable[StoredEvent]]

Receive = Callable[..., Awaitable[Receiver]]


@pytest.fixture
async def receive() -> AsyncIterator[Receive]:
    """Start a receiver that gives these answers."""
    servers = []

    async def start(*answers: bytes) -> Receiver:
        receiver = Receiver(list(answers))
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        receiver.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        return receiver

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[EventLog]:
    async with open_log(nats_server.url, "test") as opened:
        yield opened


@pytest.fixture(scope="session")
def secret_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def end(secret_key: str) -> End:
    """Take a task to the point where the notifier begins."""

    async def end(log: EventLog, callback_url: str | None, failure: Failure | None = None) -> StoredEvent:
        task_id = f"7a035551-{uuid4().hex}"
        secrets = TaskSecrets(record_url="https://example.com/?token=x", callback_url=callback_url)
        await SecretStore(log, [secret_key]).seal(task_id, secrets)
        created = TaskCreated(
            record_url="https://example.com/",
            callback_url=callback_url and redacted(callback_url),
            secrets_key=task_id,
            encoder=EncoderParameters(width=1280, height=720),
            max_duration_s=60,
        )
        cause = Cause("test", correlation="request-1")
        await log.execute(task_id, commands.Create(created), cause)
        if failure:
            await log.execute(task_id, commands.Claim("recorder-1"), cause)
            failed = commands.FailRecording(1, None, failure)
            return (await log.execute(task_id, failed, cause)).appended[-1]
        await log.execute(task_id, commands.Stop("api"), cause)
        await log.execute(task_id, commands.ReportPackaged(OutputsPackaged(outputs=())), cause)
        video = Video(filename="x.mp4", bytes=169780, duration_s=26.4, url="https://example.com/x.mp4")
        uploaded = commands.ReportUploaded(OutputsUploaded(videos=(video,)))
        return (await log.execute(task_id, uploaded, cause)).appended[-1]

    return end
