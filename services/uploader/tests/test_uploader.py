"""The uploader against a real log, a real blob store and a real object store."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.errors import BlobNotFound, BlobsUnavailable
from panoreel.blobs.keys import outputs_prefix, segment_key
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure, OutputRequest
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.topology import TASKS, UPLOADER
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.worker import Uploader
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

Package = Callable[..., Awaitable[StoredEvent]]

MIB = 1 << 20


@pytest.fixture
def uploader(settings: UploaderSettings, log: EventLog, stores: BlobStores) -> Uploader:
    return Uploader(settings, log, stores)


async def task_of(log: EventLog, packaged: StoredEvent) -> Task:
    task, _ = await log.load(packaged.task_id)
    assert task
    return task


def kept(blobs: Blobs, task: Task) -> list[str]:
    """What there is of the task's files and of its first segment."""
    found = []
    for key in (*(output.blob_key for output in task.outputs), segment_key(task.task_id, 1, 0)):
        with suppress(BlobNotFound):
            blobs.read(key)
            found.append(key)
    return found


def stored_object(store: Seaweed, key: str) -> bytes:
    client = store.client()
    try:
        return client.get_object(Bucket=store.bucket, Key=key)["Body"].read()
    finally:
        client.close()


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_ships_tells_and_removes(
    uploader: Uploader, log: EventLog, package: Package, seaweed: Seaweed, blobs: Blobs
) -> None:
    packaged = await package(
        log, 9 * MIB, 1000, output=OutputRequest(target_dir="11234/", target_name="x.mp4")
    )
    files = [blobs.read(output.blob_key) for output in (await task_of(log, packaged)).outputs]
    await uploader.ship(packaged)
    task = await task_of(log, packaged)
    assert task.status == "callback"
    assert task.finish_time
    assert [video.filename for video in task.videos] == ["x.mp4", "x-2.mp4"]
    assert [video.bytes for video in task.videos] == [9 * MIB, 1000]
    assert task.videos[0].url == f"{seaweed.endpoint}/{seaweed.bucket}/11234/x.mp4"
    assert task.videos[0].duration_s == 10.2
    assert stored_object(seaweed, "11234/x.mp4") == files[0]
    assert stored_object(seaweed, "11234/x-2.mp4") == files[1]
    assert kept(blobs, task) == []
    events = [stored async for stored in log.history(packaged.task_id)]
    assert events[-1].envelope.cause.actor == "uploader"
    assert events[-1].envelope.cause.causation == str(packaged.envelope.id)
    assert events[-1].envelope.cause.correlation == "request-1"


async def test_a_task_without_media_has_no_videos(
    uploader: Uploader, log: EventLog, package: Package
) -> None:
    packaged = await package(log)
    await uploader.ship(packaged)
    task = await task_of(log, packaged)
    assert (task.status, task.videos) == ("callback", ())


async def test_a_crash_before_the_clean_up_is_made_up_for(
    uploader: Uploader, log: EventLog, package: Package, blobs: Blobs, tmp_path: Path
) -> None:
    packaged = await package(log, 1000)
    await uploader.ship(packaged)
    left = tmp_path / "left.mp4"
    left.write_bytes(b"left")
    blobs.put(left, segment_key(packaged.task_id, 1, 0))
    before = await log.load(packaged.task_id)
    await uploader.ship(packaged)
    assert kept(blobs, await task_of(log, packaged)) == []
    assert await log.load(packaged.task_id) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"s3_secret_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"s3_bucket": "no-such-bucket"}, "NoSuchBucket"),
    ],
)
async def test_what_the_store_refuses_is_kept(
    settings: UploaderSettings,
    log: EventLog,
    package: Package,
    stores: BlobStores,
    blobs: Blobs,
    changes: dict[str, str],
    code: str,
) -> None:
    uploader = Uploader(UploaderSettings(**(settings.model_dump() | changes)), log, stores)
    packaged = await package(log, 1000)
    with pytest.raises(Permanent, match=code) as refusal:
        await uploader.ship(packaged)
    await uploader.give_up(packaged, Failure(code=refusal.value.code, message=str(refusal.value)))
    task = await task_of(log, packaged)
    [output] = task.outputs
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.code == "InternalError"
    assert task.failure.message.startswith(f"video upload failed({code}: ")
    assert task.failure.message.endswith(f"); the file is kept as {output.blob_key}")
    await uploader.ship(packaged)
    assert kept(blobs, task) == [output.blob_key, segment_key(packaged.task_id, 1, 0)]


async def test_an_impossible_name_is_final(uploader: Uploader, log: EventLog, package: Package) -> None:
    packaged = await package(log, 10, output=OutputRequest(target_dir="../elsewhere"))
    with pytest.raises(Permanent, match="TargetDir"):
        await uploader.ship(packaged)


async def test_a_file_of_another_application_stays(
    uploader: Uploader, log: EventLog, package: Package, seaweed: Seaweed
) -> None:
    named = OutputRequest(target_dir="owned", target_name="lesson")
    await uploader.ship(await package(log, 10, output=named, application="school-a"))
    before = stored_object(seaweed, "owned/lesson.mp4")
    with pytest.raises(Permanent, match="TargetDir and TargetName name a file of another application"):
        await uploader.ship(await package(log, 10, output=named, application="school-b"))
    assert stored_object(seaweed, "owned/lesson.mp4") == before
    await uploader.ship(await package(log, 10, output=named, application="school-a"))
    assert stored_object(seaweed, "owned/lesson.mp4") != before


async def test_a_damaged_file_is_final(
    uploader: Uploader, log: EventLog, package: Package, blobs: Blobs, tmp_path: Path
) -> None:
    packaged = await package(log, 10)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"0123456789")
    blobs.put(damaged, (await task_of(log, packaged)).outputs[0].blob_key)
    with pytest.raises(Permanent, match="damaged"):
        await uploader.ship(packaged)


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_an_absent_file_may_come_back(
    uploader: Uploader, log: EventLog, package: Package, blobs: Blobs
) -> None:
    packaged = await package(log, 10)
    blobs.delete_prefix(outputs_prefix(packaged.task_id))
    with pytest.raises(Transient, match=(await task_of(log, packaged)).outputs[0].blob_key):
        await uploader.ship(packaged)


@pytest.mark.parametrize("storage_type", ["cos"])
async def test_a_raw_bucket_that_refuses_may_be_mended(
    settings: UploaderSettings, log: EventLog, package: Package, seaweed: Seaweed
) -> None:
    """Unlike the bucket of the result, which is the caller's choice."""
    packaged = await package(log, 10)
    refusing = BucketBlobs(replace(seaweed.access, secret_key=SecretStr("wrong")), seaweed.bucket, "raw/")
    with pytest.raises(BlobsUnavailable, match="SignatureDoesNotMatch"):
        await Uploader(settings, log, BlobStores(log, {"cos": refusing})).ship(packaged)


@pytest.mark.parametrize("storage_type", ["cos"])
async def test_a_storage_that_this_service_lacks_is_final(
    settings: UploaderSettings, log: EventLog, package: Package
) -> None:
    packaged = await package(log, 10)
    with pytest.raises(Permanent, match="StorageType cos is not configured here"):
        await Uploader(settings, log, BlobStores(log, {})).ship(packaged)


@asynccontextmanager
async def service(settings: UploaderSettings, directory: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The service as it is deployed: a process of its own, which is ready."""
    ready_file = directory / "ready"
    environment = {
        "PANOREEL_NATS_URL": settings.nats_url.get_secret_value(),
        "PANOREEL_BLOBS_DIR": str(settings.blobs_dir),
        "PANOREEL_READY_FILE": str(ready_file),
        "PANOREEL_S3_ENDPOINT": settings.s3_endpoint,
        "PANOREEL_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "PANOREEL_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "PANOREEL_S3_BUCKET": settings.s3_bucket,
        "PANOREEL_S3_REGION": settings.s3_region,
        "PANOREEL_S3_ADDRESSING_STYLE": "path",
    }
    process = subprocess.Popen([sys.executable, "-m", "panoreel.uploader"], env=os.environ | environment)
    try:
        async with asyncio.timeout(60):
            while not ready_file.exists():
                assert process.poll() is None
                await asyncio.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()
        ready_file.unlink(missing_ok=True)


async def phase_reached(log: EventLog, packaged: StoredEvent, phase: Phase) -> Task:
    async with asyncio.timeout(60):
        while (task := await task_of(log, packaged)).phase < phase:
            await asyncio.sleep(0.1)
    return task


async def test_a_store_that_is_down_and_comes_back(
    settings: UploaderSettings,
    own_nats_server: NatsServer,
    own_seaweed: Seaweed,
    package: Package,
    blobs: Blobs,
    tmp_path: Path,
) -> None:
    reached = UploaderSettings(
        **(settings.model_dump() | {"nats_url": own_nats_server.url, "s3_endpoint": own_seaweed.endpoint})
    )
    own_seaweed.kill()
    async with open_log(own_nats_server.url, "test") as log, service(reached, tmp_path) as process:
        packaged = await package(log, 9 * MIB)
        await asyncio.sleep(1)
        assert (await task_of(log, packaged)).phase == Phase.UPLOAD
        own_seaweed.start()
        task = await phase_reached(log, packaged, Phase.CALLBACK)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert not (tmp_path / "ready").exists()
    assert task.failure is None
    assert len(stored_object(own_seaweed, f"{task.task_id}/{task.videos[0].filename}")) == 9 * MIB
    assert kept(blobs, task) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_ended_service_leaves_the_work_to_the_next(
    settings: UploaderSettings,
    own_nats_server: NatsServer,
    package: Package,
    seaweed: Seaweed,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    works = UploaderSettings(**(settings.model_dump() | {"nats_url": own_nats_server.url}))
    stuck = UploaderSettings(**(works.model_dump() | {"s3_endpoint": "http://127.0.0.1:9"}))
    async with open_log(own_nats_server.url, "test") as log:
        await log.js.add_consumer(TASKS, replace(UPLOADER, ack_wait_s=2).config())
        async with service(stuck, tmp_path) as process:
            packaged = await package(log, 1000)
            async with asyncio.timeout(60):
                while not (await log.js.consumer_info(TASKS, UPLOADER.name)).num_ack_pending:
                    await asyncio.sleep(0.05)
            process.send_signal(number)
            await asyncio.to_thread(process.wait, 40)
        async with service(works, tmp_path):
            task = await phase_reached(log, packaged, Phase.CALLBACK)
    assert task.failure is None


def test_an_absent_blob_directory_is_named(settings: UploaderSettings) -> None:
    environment = {
        "PANOREEL_NATS_URL": settings.nats_url.get_secret_value(),
        "PANOREEL_BLOBS_DIR": "/absent",
        "PANOREEL_S3_ENDPOINT": settings.s3_endpoint,
        "PANOREEL_S3_ACCESS_KEY": "a",
        "PANOREEL_S3_SECRET_KEY": "s",
        "PANOREEL_S3_BUCKET": "panoreel",
        "PANOREEL_S3_REGION": "r",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "panoreel.uploader"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "PANOREEL_BLOBS_DIR: the blob directory /absent does not exist" in ended.stderr
    assert "Traceback" not in ended.stderr
