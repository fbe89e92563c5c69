"""Which blob stores a service has, and that all services have the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from panoreel.blobs.errors import BlobsUnavailable, StorageMissing, StoreUnavailable
from panoreel.blobs.settings import BlobSettings
from panoreel.blobs.shared import open_shared
from panoreel.contracts.events import StorageType
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed


@pytest.fixture
async def log(own_nats_server: NatsServer) -> AsyncIterator[EventLog]:
    """A deployment of the test's own."""
    async with open_log(own_nats_server.url, "test") as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> dict[str, Any]:
    root = tmp_path / uuid4().hex
    root.mkdir()
    return {"blobs_dir": root}


def bucket(store: Seaweed) -> dict[str, Any]:
    return {
        "raw_bucket": store.bucket,
        "raw_prefix": f"{uuid4().hex}/",
        "raw_endpoint": store.endpoint,
        "raw_region": store.region,
        "raw_access_key": store.access_key,
        "raw_secret_key": store.secret_key,
    }


def settings(*parts: dict[str, Any]) -> BlobSettings:
    values: dict[str, Any] = {"nats_url": "nats://127.0.0.1"}
    for part in parts:
        values |= part
    return BlobSettings(**values)


async def test_both_kinds_of_storage(log: EventLog, directory: dict[str, Any], seaweed: Seaweed) -> None:
    both = settings(directory, bucket(seaweed))
    for _ in range(2):
        stores = await open_shared(log, both)
    assert str(await stores.of("cfs")) == f"the blob directory {both.blobs_dir}"
    assert str(await stores.of("cos")) == f"the bucket {both.raw_bucket} below {both.raw_prefix}"


async def test_services_that_find_a_new_store_at_the_same_time_agree(
    log: EventLog, directory: dict[str, Any], seaweed: Seaweed
) -> None:
    both = settings(directory, bucket(seaweed))
    await asyncio.gather(*(open_shared(log, both) for _ in range(6)))


async def test_a_storage_that_is_not_configured_is_named(
    log: EventLog, directory: dict[str, Any], seaweed: Seaweed
) -> None:
    rows: list[tuple[dict[str, Any], StorageType, str]] = [
        (directory, "cos", "RAW_BUCKET"),
        (bucket(seaweed), "cfs", "BLOBS_DIR"),
    ]
    for part, absent, name in rows:
        stores = await open_shared(log, settings(part))
        with pytest.raises(StorageMissing, match=f"StorageType {absent} .*PANOREEL_{name} is not set"):
            await stores.of(absent)


@pytest.mark.parametrize("name", ["endpoint", "region", "access_key", "secret_key"])
async def test_a_bucket_with_too_few_settings_is_refused(log: EventLog, seaweed: Seaweed, name: str) -> None:
    part = bucket(seaweed) | {f"raw_{name}": None}
    with pytest.raises(BlobsUnavailable, match=f"PANOREEL_RAW_{name.upper()} is not set"):
        await open_shared(log, settings(part))


async def test_no_storage_at_all_is_refused(log: EventLog) -> None:
    with pytest.raises(BlobsUnavailable, match="set PANOREEL_BLOBS_DIR or PANOREEL_RAW_BUCKET"):
        await open_shared(log, settings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"raw_bucket": "With_Capitals"},
        {"raw_endpoint": "127.0.0.1:9000"},
        {"raw_region": "a/b"},
        {"raw_prefix": "raw"},
        {"raw_prefix": "../"},
        {"raw_addressing_style": "auto"},
    ],
)
def test_wrong_settings_are_refused(seaweed: Seaweed, wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        settings(bucket(seaweed), wrong)


async def test_another_store_than_the_others_have_is_refused(
    log: EventLog, directory: dict[str, Any], seaweed: Seaweed, tmp_path: Path
) -> None:
    await open_shared(log, settings(directory, bucket(seaweed)))
    for part, name in (({"blobs_dir": tmp_path}, "BLOBS_DIR"), (bucket(seaweed), "RAW_BUCKET")):
        with pytest.raises(
            BlobsUnavailable, match=f"PANOREEL_{name}: .* is not the one that the other services"
        ):
            await open_shared(log, settings(part))


async def test_a_store_that_is_away_is_checked_before_it_is_used(
    log: EventLog, directory: dict[str, Any], own_seaweed: Seaweed
) -> None:
    both = settings(directory, bucket(own_seaweed))
    others = settings(bucket(own_seaweed))
    await open_shared(log, others)
    own_seaweed.kill()
    with capture_logs() as logged:
        stores = await open_shared(log, both)
    assert [line["event"] for line in logged] == ["blob store is away"]
    await stores.of("cfs")
    with pytest.raises(StoreUnavailable):
        await stores.of("cos")
    own_seaweed.start()
    with pytest.raises(BlobsUnavailable, match="is not the one that the other services"):
        await stores.of("cos")
