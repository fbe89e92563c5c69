"""Packaged tasks in a real log, with real files in a real blob store."""

import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.keys import output_key, segment_key
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Output, OutputRequest, OutputsPackaged, StorageType, TaskCreated
from panoreel.contracts.media import EncoderParameters
from panoreel.eventlog.log import EventLog, open_log
from panoreel.uploader.settings import UploaderSettings
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

Package = Callable[..., Awaitable[StoredEvent]]


@pytest.fixture
async def log(own_nats_server: NatsServer) -> AsyncIterator[EventLog]:
    """A deployment of the test's own."""
    async with open_log(own_nats_server.url, "test") as opened:
        yield opened


@pytest.fixture
def blobs_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "blobs"
    directory.mkdir()
    return directory


@pytest.fixture
def storage_type() -> StorageType:
    """Where the tasks of a test want their media to rest."""
    return "cfs"


@pytest.fixture
def stores(log: EventLog, seaweed: Seaweed, blobs_dir: Path) -> BlobStores:
    bucket = BucketBlobs(seaweed.access, seaweed.bucket, f"{uuid4().hex}/")
    return BlobStores(log, {"cfs": DirectoryBlobs(blobs_dir), "cos": bucket})


@pytest.fixture
async def blobs(stores: BlobStores, storage_type: StorageType) -> Blobs:
    return await stores.of(storage_type)


@pytest.fixture
def settings(own_nats_server: NatsServer, seaweed: Seaweed, blobs_dir: Path) -> UploaderSettings:
    return UploaderSettings(
        nats_url=own_nats_server.url,
        blobs_dir=blobs_dir,
        s3_endpoint=seaweed.endpoint,
        s3_access_key=seaweed.access_key,
        s3_secret_key=seaweed.secret_key,
        s3_bucket=seaweed.bucket,
        s3_region=seaweed.region,
        s3_addressing_style="path",
        public_url_scheme="http",
    )


@pytest.fixture
def package(blobs: Blobs, storage_type: StorageType, tmp_path: Path) -> Package:
    """Take a task to the point where the uploader begins; its files have the sizes that are given."""

    async def package(
        log: EventLog, *sizes: int, output: OutputRequest | None = None, application: str = ""
    ) -> StoredEvent:
        task_id = f"task-{uuid4().hex}"
        source = tmp_path / "source.mp4"
        outputs = []
        for number, size in enumerate(sizes):
            content = os.urandom(size)
            source.write_bytes(content)
            key = output_key(task_id, f"{number}.mp4")
            blobs.put(source, key)
            blobs.put(source, segment_key(task_id, 1, number))
            digest = hashlib.sha256(content).hexdigest()
            outputs.append(Output(blob_key=key, bytes=size, sha256=digest, duration_s=10.2, frames=300))
        created = TaskCreated(
            application=application,
            record_url="https://example.com/",
            secrets_key=task_id,
            encoder=EncoderParameters(width=1280, height=720),
            max_duration_s=60,
            storage_type=storage_type,
            output=output or OutputRequest(),
        )
        cause = Cause("test", correlation="request-1")
        for command in (
            commands.Create(created),
            commands.Claim("recorder-1"),
            commands.ReportStarted(1, datetime.now(UTC)),
            commands.Stop("api"),
            commands.ReportStopped(1, len(sizes) - 1 if sizes else None, frames=300),
        ):
            await log.execute(task_id, command, cause)
        packaged = commands.ReportPackaged(OutputsPackaged(outputs=tuple(outputs)))
        outcome = await log.execute(task_id, packaged, cause)
        return outcome.appended[-1]

    return package
