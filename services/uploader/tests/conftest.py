"""Packaged tasks in a real log, with real files in a real blob store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import OutputRequest, StorageType
from panoreel.eventlog.log import EventLog, open_log
from panoreel.uploader.settings import UploaderSettings
from services.uploader.tests.recordings import Recording
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

Record = Callable[..., Awaitable[Recording]]
Package = Callable[..., Awaitable[tuple[Recording, StoredEvent]]]


@pytest.fixture
def deployment(own_nats_server: NatsServer) -> NatsServer:
    """A log of the test's own."""
    return own_nats_server


@pytest.fixture
async def log(deployment: NatsServer) -> AsyncIterator[EventLog]:
    async with open_log(deployment.url, "test") as opened:
        yield opened


@pytest.fixture
def blobs_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "blobs"
    directory.mkdir()
    return directory


@pytest.fixture
def raw_prefix() -> str:
    return f"{uuid4().hex}/"


@pytest.fixture
def storage_type() -> StorageType:
    """Where the tasks of a test want their media to rest."""
    return "cfs"


@pytest.fixture
def stores(log: EventLog, seaweed: Seaweed, blobs_dir: Path, raw_prefix: str) -> BlobStores:
    bucket = BucketBlobs(seaweed.access, seaweed.bucket, raw_prefix)
    return BlobStores(log, {"cfs": DirectoryBlobs(blobs_dir), "cos": bucket})


@pytest.fixture
async def blobs(stores: BlobStores, storage_type: StorageType) -> Blobs:
    return await stores.of(storage_type)


@pytest.fixture
def settings(deployment: NatsServer, seaweed: Seaweed, blobs_dir: Path) -> UploaderSettings:
    return UploaderSettings(
        nats_url=deployment.url,
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
def record(log: EventLog, blobs: Blobs, storage_type: StorageType) -> Record:
    """Begin a recording whose result is asked for like this."""

    async def record(output: OutputRequest | None = None, application: str = "") -> Recording:
        recording = Recording(log, blobs)
        await recording.create(output, application, storage_type)
        return recording

    return record


@pytest.fixture
def package(record: Record) -> Package:
    """Take a task to the point where the uploader begins; its one file has the size that is given."""

    async def package(
        size: int, output: OutputRequest | None = None, application: str = ""
    ) -> tuple[Recording, StoredEvent]:
        recording = await record(output, application)
        return recording, await recording.stop(mp4=size)

    return package
