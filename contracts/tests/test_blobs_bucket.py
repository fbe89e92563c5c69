"""What can happen to a bucket, and how it is told."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.errors import BlobsUnavailable, StoreUnavailable
from panoreel.blobs.keys import segment_key, segments_prefix
from tests.servers.proxy import lossy_proxy
from tests.servers.seaweed import Seaweed

KEY = segment_key("task-1", 1, 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.mp4"
    file.write_bytes(b"segment" * 100_000)
    return file


@pytest.mark.parametrize(
    ("changes", "bucket", "code"),
    [
        ({"access_key": SecretStr("nobody")}, Seaweed.bucket, "InvalidAccessKeyId"),
        ({"secret_key": SecretStr("wrong-key")}, Seaweed.bucket, "SignatureDoesNotMatch"),
        ({}, "no-such-bucket", "NoSuchBucket"),
    ],
)
def test_refusals_are_named(
    seaweed: Seaweed, source: Path, changes: dict[str, Any], bucket: str, code: str
) -> None:
    blobs = BucketBlobs(replace(seaweed.access, **changes), bucket, "raw/")
    with pytest.raises(
        BlobsUnavailable, match=rf"^the bucket {bucket} below raw/ is not usable: {code}: "
    ) as error:
        blobs.check()
    assert "wrong-key" not in str(error.value)
    uses: tuple[Callable[[], object], ...] = (
        lambda: blobs.put(source, KEY),
        lambda: blobs.read(KEY),
        lambda: blobs.fetch(KEY).__enter__(),
        lambda: blobs.delete_prefix(segments_prefix("task-1")),
    )
    for use in uses:
        with pytest.raises(OSError, match=code):
            use()


def test_a_store_that_is_away_and_comes_back(own_seaweed: Seaweed, source: Path) -> None:
    blobs = BucketBlobs(own_seaweed.access, own_seaweed.bucket, "raw/")
    names = blobs.check()
    own_seaweed.kill()
    uses: tuple[Callable[[], object], ...] = (
        blobs.check,
        lambda: blobs.put(source, KEY),
        lambda: blobs.read(KEY),
        lambda: blobs.delete_prefix(segments_prefix("task-1")),
    )
    for use in uses:
        with pytest.raises(StoreUnavailable, match="the object store does not answer"):
            use()
    own_seaweed.start()
    blobs.put(source, KEY)
    assert blobs.read(KEY) == source.read_bytes()
    assert blobs.check() == names


async def test_a_download_that_breaks_off_is_not_taken_for_the_blob(seaweed: Seaweed, source: Path) -> None:
    prefix = f"{uuid4().hex}/"
    BucketBlobs(seaweed.access, seaweed.bucket, prefix).put(source, KEY)
    port = urlsplit(seaweed.endpoint).port
    assert port
    async with lossy_proxy(port) as proxy:
        access = replace(seaweed.access, endpoint=f"http://127.0.0.1:{proxy.port}")
        blobs = BucketBlobs(access, seaweed.bucket, prefix)
        proxy.break_after(100_000)
        with pytest.raises(StoreUnavailable):
            await asyncio.to_thread(blobs.read, KEY)
        assert proxy.incidents == 1


def test_delete_prefix_takes_more_than_one_page(seaweed: Seaweed, source: Path) -> None:
    prefix = f"{uuid4().hex}/"
    blobs = BucketBlobs(seaweed.access, seaweed.bucket, prefix)
    source.write_bytes(b"x")
    client = seaweed.client()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda index: client.put_object(
                    Bucket=seaweed.bucket, Key=f"{prefix}{segment_key('task-1', 1, index)}"
                ),
                range(1001),
            )
        )
    blobs.delete_prefix(segments_prefix("task-1"))
    assert "Contents" not in client.list_objects_v2(Bucket=seaweed.bucket, Prefix=prefix)
    client.close()
