"""What is removed by age, and what is not."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.errors import BlobNotFound
from panoreel.blobs.keys import segment_key
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts import commands
from panoreel.contracts.events import (
    ClipCreated,
    ClipRange,
    ClipSource,
    Failure,
    OutputsUploaded,
    StorageType,
    UploadFailed,
)
from panoreel.contracts.media import EncoderParameters
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import tasks_with_media
from panoreel.uploader import sweeper
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.sweeper import Sweeper
from panoreel.uploader.worker import Uploader
from services.uploader.tests.conftest import Record
from services.uploader.tests.objects import objects, unfinished
from services.uploader.tests.recordings import CAUSE, MIB, Recording
from tests.servers.seaweed import Seaweed

Sweep = Callable[..., Sweeper]


@pytest.fixture
def sweeping(settings: UploaderSettings, log: EventLog, stores: BlobStores) -> Sweep:
    """A sweeper with these settings."""

    def sweeping(**changes: Any) -> Sweeper:
        return Sweeper(log, stores, UploaderSettings(**(settings.model_dump() | changes)))

    return sweeping


def has_media(blobs: Blobs, recording: Recording) -> bool:
    try:
        return bool(blobs.read(segment_key(recording.task_id, 1, 0)))
    except BlobNotFound:
        return False


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_media_of_a_finished_task_is_removed_in_time(
    sweeping: Sweep,
    settings: UploaderSettings,
    log: EventLog,
    stores: BlobStores,
    record: Record,
    blobs: Blobs,
    seaweed: Seaweed,
) -> None:
    running, finished = await record(), await record()
    await Uploader(settings, log, stores).close(await finished.stop(mp4=10))
    before = objects(seaweed, finished.task_id)
    assert await sweeping().sweep() == []
    at_once = sweeping(media_retention_h=0, failed_retention_days=0)
    assert await at_once.sweep() == [finished.task_id]
    assert await at_once.sweep() == []
    assert not has_media(blobs, finished)
    assert has_media(blobs, running)
    assert await tasks_with_media(log) == [running.task_id]
    assert objects(seaweed, finished.task_id) == before


async def test_a_failed_task_is_kept_for_longer_and_leaves_no_upload(
    sweeping: Sweep,
    settings: UploaderSettings,
    log: EventLog,
    stores: BlobStores,
    record: Record,
    blobs: Blobs,
    seaweed: Seaweed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = await record()
    for size in (5 * MIB, 8 * MIB):
        await Uploader(settings, log, stores).ship(await failed.package("mp4", size))
    await failed.stop(mp4=10)
    failure = UploadFailed(failure=Failure(code="InternalError", message="the store is full"))
    await log.execute(failed.task_id, commands.ReportUploaded(failure), CAUSE)
    assert await sweeping(media_retention_h=0).sweep() == []
    assert has_media(blobs, failed)
    assert len(unfinished(seaweed, failed.task_id)) == 1
    monkeypatch.setattr(sweeper, "ABANDONED", timedelta())
    assert await sweeping().sweep() == []
    assert unfinished(seaweed, failed.task_id) == []
    assert has_media(blobs, failed)
    assert await sweeping(failed_retention_days=0).sweep() == [failed.task_id]
    assert not has_media(blobs, failed)


async def test_an_upload_that_is_given_up_is_aborted(
    settings: UploaderSettings, log: EventLog, stores: BlobStores, record: Record, seaweed: Seaweed
) -> None:
    recording = await record()
    uploader = Uploader(settings, log, stores)
    for size in (5 * MIB, 8 * MIB):
        await uploader.ship(await recording.package("mp4", size))
    assert len(unfinished(seaweed, recording.task_id)) == 1
    await uploader.give_up(
        await recording.stop(mp4=10), Failure(code="InternalError", message="the store is full")
    )
    assert unfinished(seaweed, recording.task_id) == []


async def test_a_clip_that_is_given_up_leaves_nothing_that_would_never_be_removed(
    settings: UploaderSettings, log: EventLog, stores: BlobStores, blobs: Blobs
) -> None:
    clip = Recording(log, blobs)
    created = ClipCreated(
        clip=ClipSource(task_id="recording", ranges=(ClipRange(start_s=0, end_s=1),)),
        record_url="https://example.com/",
        secrets_key=clip.task_id,
        encoder=EncoderParameters(width=1280, height=720),
        storage_type="cfs",
    )
    await log.execute(clip.task_id, commands.CreateClip(created), CAUSE)
    packaged = await clip.report(mp4=10)
    [output] = (await clip.task()).outputs
    uploader = Uploader(settings, log, stores)
    await uploader.give_up(packaged, Failure(code="InternalError", message="the store is full"))
    failure = (await clip.task()).failure
    assert failure
    assert failure.message == "video upload failed(the store is full)"
    with pytest.raises(BlobNotFound):
        blobs.read(output.blob_key or "")


async def test_media_of_a_task_that_the_log_has_forgotten_is_removed_by_its_age(
    sweeping: Sweep, log: EventLog, blobs: Blobs
) -> None:
    lost = Recording(log, blobs, task_id=f"task-{uuid4().hex}")
    await lost.announce()
    assert await sweeping().sweep() == []
    assert has_media(blobs, lost)
    assert await sweeping(failed_retention_days=0).sweep() == [lost.task_id]
    assert not has_media(blobs, lost)


async def test_one_that_cannot_be_removed_does_not_keep_others(
    settings: UploaderSettings, log: EventLog, blobs: Blobs, blobs_dir: Path
) -> None:
    """The one's storage is one that this service lacks."""
    recordings: dict[StorageType, Recording] = {"cos": Recording(log, blobs), "cfs": Recording(log, blobs)}
    for storage_type, recording in recordings.items():
        await recording.create(storage_type=storage_type)
        await recording.stop(mp4=10)
        stored = OutputsUploaded(videos=())
        await log.execute(recording.task_id, commands.ReportUploaded(stored), CAUSE)
    having = BlobStores(log, {"cfs": DirectoryBlobs(blobs_dir)})
    swept = await Sweeper(log, having, settings.model_copy(update={"media_retention_h": 0.0})).sweep()
    assert swept == [recordings["cfs"].task_id]
    assert await tasks_with_media(log) == [recordings["cos"].task_id]
