"""What a recorder does about its spool when it starts, and about tasks whose media it cannot store."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts import commands, events
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import StorageType
from panoreel.contracts.media import EncoderParameters, SegmentMedia
from panoreel.contracts.quality import Quality
from panoreel.contracts.task import Phase
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.segments import manifest
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.recovery import left_behind, try_give_back
from panoreel.recorder.segments import keep_quality, seal, sealed
from panoreel.recorder.session import Session
from panoreel.recorder.settings import RecorderSettings
from panoreel.recorder.worker import work
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

CONTENT = b"media"


@pytest.fixture
async def log(own_nats_server: NatsServer) -> AsyncIterator[EventLog]:
    """A deployment of the test's own."""
    async with open_log(own_nats_server.url, "test") as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> DirectoryBlobs:
    (tmp_path / "blobs").mkdir()
    return DirectoryBlobs(tmp_path / "blobs")


async def recover(recorder: Recorder) -> None:
    """What a recorder does first."""
    for spool in await left_behind(recorder):
        await try_give_back(recorder, spool, "restarted")


def recorder_with(log: EventLog, stores: Mapping[StorageType, Blobs], tmp_path: Path) -> Recorder:
    key = Fernet.generate_key().decode()
    settings = RecorderSettings(
        nats_url=SecretStr("nats://127.0.0.1"),
        recorder_id=f"recorder-{uuid4().hex}",
        secret_keys=(SecretStr(key),),
        spool_dir=tmp_path / "spool",
        run_dir=tmp_path / "run",
        webrtc_udp="off",
        warm_recordings=0,
    )
    for made in (settings.spool_dir, settings.run_dir):
        made.mkdir()
    return Recorder(settings, log, BlobStores(log, stores), SecretStore(log, [key]))


async def offer(log: EventLog, storage_type: StorageType = "cfs") -> StoredEvent:
    """A new task."""
    created = events.TaskCreated(
        record_url="http://127.0.0.1/",
        secrets_key="none",
        encoder=EncoderParameters(width=1280, height=720),
        max_duration_s=60,
        storage_type=storage_type,
    )
    return (await log.execute(uuid4().hex, commands.Create(created), Cause("test"))).appended[0]


async def claimed(recorder: Recorder, storage_type: StorageType = "cfs") -> StoredEvent:
    """The offer of a task that an earlier run of the recorder had claimed."""
    offered = await offer(recorder.log, storage_type)
    await recorder.log.execute(offered.task_id, commands.Claim(recorder.id), offered.cause("test"))
    recorder.spool(offered).mkdir()
    return offered


def leave_segment(spool: Path, partial: Path) -> None:
    partial.mkdir()
    media = SegmentMedia(
        epoch=1,
        index=0,
        bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        first_pts=0,
        end_pts=180_000,
        first_sample=0,
        end_sample=96_000,
        frames=60,
        wall_time=datetime.now(UTC),
    )
    seal(CONTENT, media, partial=partial, spool=spool)


async def test_gives_back_what_is_its_own_and_leaves_the_rest_alone(
    log: EventLog, directory: DirectoryBlobs, tmp_path: Path
) -> None:
    recorder = recorder_with(log, {"cfs": directory}, tmp_path)
    offered = await claimed(recorder)
    quality = Quality(recorded_s=4, frames_encoded=120)
    keep_quality(quality, recorder.spool(offered))
    strangers = {recorder.settings.spool_dir / name for name in ("lost+found", ".snapshot", "notes")}
    for stranger in strangers:
        stranger.touch()
    await recover(recorder)
    task, _ = await log.load(offered.task_id)
    assert task
    assert (task.recorder_id, task.retry_num) == (None, 1)
    assert task.quality == quality
    assert set(recorder.settings.spool_dir.iterdir()) == strangers


async def test_segments_wait_in_the_spool_for_a_bucket_that_is_away(
    log: EventLog, own_seaweed: Seaweed, tmp_path: Path
) -> None:
    bucket = BucketBlobs(own_seaweed.access, own_seaweed.bucket, "raw/")
    recorder = recorder_with(log, {"cos": bucket}, tmp_path)
    offered = await claimed(recorder, "cos")
    leave_segment(recorder.spool(offered), tmp_path / "partial")
    own_seaweed.kill()
    recovering = asyncio.create_task(recover(recorder))
    await asyncio.sleep(2)
    assert len(sealed(recorder.spool(offered))) == 1
    await asyncio.to_thread(own_seaweed.start)
    await recovering
    [segment] = await manifest(log, offered.task_id)
    assert bucket.read(segment.blob_key) == CONTENT
    assert list(recorder.settings.spool_dir.iterdir()) == []


async def test_a_bucket_that_is_away_keeps_no_other_task_waiting(
    own_nats_server: NatsServer, log: EventLog, own_seaweed: Seaweed, tmp_path: Path
) -> None:
    recorder = recorder_with(log, {}, tmp_path)
    waiting, other = await claimed(recorder, "cos"), await claimed(recorder)
    for offered in (waiting, other):
        leave_segment(recorder.spool(offered), tmp_path / offered.task_id)
    access = own_seaweed.access
    (tmp_path / "blobs").mkdir()
    settings = recorder.settings.model_copy(
        update={
            "nats_url": SecretStr(own_nats_server.url),
            "blobs_dir": tmp_path / "blobs",
            "raw_bucket": own_seaweed.bucket,
            "raw_endpoint": access.endpoint,
            "raw_region": access.region,
            "raw_access_key": access.access_key,
            "raw_secret_key": access.secret_key,
            "raw_addressing_style": access.addressing_style,
        }
    )
    own_seaweed.kill()
    ready = asyncio.Event()
    working = asyncio.create_task(work(settings, ready.set))
    try:
        async with asyncio.timeout(60):
            await ready.wait()
            await recorded_again(log, other.task_id)
            task, _ = await log.load(waiting.task_id)
            assert task
            assert (task.recorder_id, task.retry_num) == (recorder.id, 0)
            await asyncio.to_thread(own_seaweed.start)
            await recorded_again(log, waiting.task_id)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    for offered in (waiting, other):
        assert len(await manifest(log, offered.task_id)) == 1
    assert list(recorder.settings.spool_dir.iterdir()) == []


async def recorded_again(log: EventLog, task_id: str) -> None:
    """Wait until the task was given back, claimed once more, and ended, since its secrets are gone."""
    async for stored in log.follow(task_id, 0):
        if isinstance(stored.event, events.RecordingStopped):
            break
    task, _ = await log.load(task_id)
    assert task
    assert (task.retry_num, task.epoch) == (1, 2)


async def test_segments_that_cannot_be_stored_stay_in_the_spool(
    log: EventLog, directory: DirectoryBlobs, tmp_path: Path
) -> None:
    recorder = recorder_with(log, {"cfs": directory}, tmp_path)
    offered = await claimed(recorder, "cos")
    leave_segment(recorder.spool(offered), tmp_path / "partial")
    await recover(recorder)
    assert len(sealed(recorder.spool(offered))) == 1
    unknown = recorder.spool(offered).rename(recorder.settings.spool_dir / f"unknown.{uuid4()}")
    await recover(recorder)
    assert len(sealed(unknown)) == 1


async def test_a_task_whose_storage_is_not_configured_fails_with_a_sentence(
    log: EventLog, directory: DirectoryBlobs, tmp_path: Path
) -> None:
    recorder = recorder_with(log, {"cfs": directory}, tmp_path)
    offered = await offer(log, "cos")
    session = await Session.claim(recorder, offered)
    assert session
    await session.run()
    task, _ = await log.load(offered.task_id)
    assert task
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.message == "StorageType cos is not configured here: PANOREEL_RAW_BUCKET is not set"
    assert list(recorder.settings.spool_dir.iterdir()) == []
