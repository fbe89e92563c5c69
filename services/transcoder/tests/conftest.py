"""Segments of real encoder runs, and where they are told of and kept."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.shared import BlobStores
from panoreel.contracts.media import Segment, SegmentMedia
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

SCRIPT = Path(__file__).with_name("encode_epoch.py")

Encode = Callable[..., list[Segment]]


@pytest.fixture(scope="session")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Encode one epoch in a process of its own; see `encode_epoch.py` for the options.

    The same options give the same files, which nobody changes.
    """
    encoded: dict[str, list[Segment]] = {}

    def run(
        epoch: int, steps: list[int], *, parameters: dict[str, object] | None = None, **options: object
    ) -> list[Segment]:
        options |= {"epoch": epoch, "steps": steps, "parameters": parameters or {}}
        order = json.dumps(options)
        if order not in encoded:
            encoded[order] = _encoded(tmp_path_factory.mktemp("epoch"), options)
        return list(encoded[order])

    return run


def _encoded(directory: Path, options: dict[str, object]) -> list[Segment]:
    order = json.dumps(options | {"directory": str(directory)})
    done = subprocess.run([sys.executable, str(SCRIPT), order], stdout=subprocess.PIPE, check=True)
    media = [SegmentMedia.model_validate_json(line) for line in done.stdout.splitlines()]
    return [
        Segment(**one.model_dump(), task_id="task", blob_key=str(directory / f"{one.index:08d}.mp4"))
        for one in media
    ]


@pytest.fixture
async def log(own_nats_server: NatsServer) -> AsyncIterator[EventLog]:
    """A deployment of the test's own."""
    async with open_log(own_nats_server.url, "test") as opened:
        yield opened


@pytest.fixture
def stores(log: EventLog, seaweed: Seaweed, tmp_path: Path) -> BlobStores:
    (tmp_path / "blobs").mkdir()
    bucket = BucketBlobs(seaweed.access, seaweed.bucket, f"{uuid4().hex}/")
    return BlobStores(log, {"cfs": DirectoryBlobs(tmp_path / "blobs"), "cos": bucket})


@pytest.fixture
def secrets(log: EventLog) -> SecretStore:
    return SecretStore(log, [Fernet.generate_key().decode()])
