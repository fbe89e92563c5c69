"""Stopped recordings in a real log, with real segments in a real blob store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import av
import pytest

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.errors import BlobNotFound
from panoreel.blobs.keys import segment_key, segments_prefix
from panoreel.blobs.shared import BlobStores
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Failure, StorageType, TaskCreated
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.segments import announce
from panoreel.transcoder.worker import LATE_SEGMENTS, Transcoder
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

CAUSE = Cause("test")
SECOND = 90_000
STEPS = [3000] * 150
"""Five seconds at 30 pictures a second: three segments."""

Encode = Callable[..., list[Segment]]


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


async def stopped(
    log: EventLog,
    stores: BlobStores,
    media: list[Segment],
    *,
    lost: int = 0,
    storage_type: StorageType = "cfs",
) -> StoredEvent:
    """A recording that has just stopped; of its segments the last `lost` were never announced."""
    blobs = await stores.of(storage_type)
    task_id = f"task-{uuid4().hex}"
    created = TaskCreated(
        record_url="http://example.com/",
        secrets_key=task_id,
        encoder=EncoderParameters(width=319, height=180),
        max_duration_s=60,
        storage_type=storage_type,
    )
    await log.execute(task_id, commands.Create(created), CAUSE)
    await log.execute(task_id, commands.Claim("recorder"), CAUSE)
    await log.execute(task_id, commands.Stop("api"), CAUSE)
    for segment in media[: len(media) - lost]:
        key = segment_key(task_id, segment.epoch, segment.index)
        await asyncio.to_thread(blobs.put, Path(segment.blob_key), key)
        await announce(log, segment.model_copy(update={"task_id": task_id, "blob_key": key}))
    last_index = media[-1].index if media else None
    outcome = await log.execute(task_id, commands.ReportStopped(1, last_index, 150), CAUSE)
    return outcome.appended[0]


async def load(log: EventLog, event: StoredEvent) -> Task:
    task, _ = await log.load(event.task_id)
    assert task
    return task


def minutes_later(event: StoredEvent) -> StoredEvent:
    """The same event, as if it had happened when segments can no longer be on their way."""
    past = datetime.now(UTC) - LATE_SEGMENTS - timedelta(seconds=1)
    return replace(event, envelope=replace(event.envelope, time=past))


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_segments_become_one_file(
    log: EventLog, stores: BlobStores, encode: Encode, storage_type: StorageType
) -> None:
    event = await stopped(log, stores, encode(1, STEPS), storage_type=storage_type)
    transcoder = Transcoder(log, stores)
    await transcoder.package(event)
    task = await load(log, event)
    assert task.phase == Phase.UPLOAD
    [output] = task.outputs
    with (await stores.of(storage_type)).fetch(output.blob_key) as file, av.open(str(file)) as container:
        assert file.stat().st_size == output.bytes
        assert sum(1 for _ in container.decode(video=0)) == output.frames == 150
    assert output.duration_s == pytest.approx(5, abs=0.03)
    await transcoder.package(event)
    assert await load(log, event) == task, "delivered again, without effect"


async def test_no_media_is_no_failure(log: EventLog, stores: BlobStores) -> None:
    event = await stopped(log, stores, [])
    await Transcoder(log, stores).package(event)
    task = await load(log, event)
    assert (task.phase, task.outputs, task.failure) == (Phase.UPLOAD, (), None)


async def test_segments_on_their_way_are_waited_for_and_then_taken_for_lost(
    log: EventLog, stores: BlobStores, encode: Encode
) -> None:
    media = encode(1, STEPS)
    event = await stopped(log, stores, media, lost=1)
    transcoder = Transcoder(log, stores)
    with pytest.raises(Transient, match="1 segments are not announced yet"):
        await transcoder.package(event)
    await transcoder.package(minutes_later(event))
    [output] = (await load(log, event)).outputs
    assert output.duration_s == pytest.approx(media[-1].first_pts / SECOND, abs=0.03)


async def test_a_damaged_segment_is_told_and_the_media_kept(
    log: EventLog, stores: BlobStores, encode: Encode, tmp_path: Path
) -> None:
    event = await stopped(log, stores, encode(1, STEPS))
    blobs, key = await stores.of("cfs"), segment_key(event.task_id, 1, 1)
    content = bytearray(blobs.read(key))
    content[-100] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    blobs.put(tmp_path / "damaged", key)
    transcoder = Transcoder(log, stores)
    with pytest.raises(Permanent) as caught:
        await transcoder.package(event)
    await transcoder.give_up(event, Failure(code=caught.value.code, message=str(caught.value)))
    task = await load(log, event)
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.message.startswith("video transcode failed(")
    assert blobs.read(key) == content


async def test_a_storage_that_this_service_lacks_is_told(
    log: EventLog, stores: BlobStores, encode: Encode
) -> None:
    event = await stopped(log, stores, encode(1, STEPS), storage_type="cos")
    with pytest.raises(Permanent, match="StorageType cos is not configured here"):
        await Transcoder(log, BlobStores(log, {})).package(event)


async def test_a_segment_that_is_not_there_is_tried_again(
    log: EventLog, stores: BlobStores, encode: Encode
) -> None:
    event = await stopped(log, stores, encode(1, STEPS), storage_type="cos")
    (await stores.of("cos")).delete_prefix(segments_prefix(event.task_id))
    with pytest.raises(BlobNotFound):
        await Transcoder(log, stores).package(event)
    assert (await load(log, event)).phase == Phase.TRANSCODE
