"""The uploader against a real log, a real blob store and a real object store."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.keys import segment_key
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
def uploader(settings: UploaderSettings, log: EventLog, blobs: DirectoryBlobs) -> Uploader:
    return Uploader(settings, log, blobs)


async def task_of(log: EventLog, packaged: StoredEvent) -> Task:
    task, _ = await log.load(packaged.task_id)
    assert task
    return task


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*.mp4"))


def stored_object(store: Seaweed, key: str) -> bytes:
    client = store.client()
    try:
        return client.get_object(Bucket=store.bucket, Key=key)["Body"].read()
    finally:
        client.close()


async def test_ships_tells_and_removes(
    uploader: Uploader,
    log: EventLog,
    package: Package,
    seaweed: Seaweed,
    blobs: DirectoryBlobs,
    blobs_dir: Path,
) -> None:
    packaged = await package(
        log, 9 * MIB, 1000, output=OutputRequest(target_dir="11234/", target_name="x.mp4")
    )
    files = [blobs.get(output.blob_key).read_bytes() for output in (await task_of(log, packaged)).outputs]
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
    assert files_in(blobs_dir) == []
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
    uploader: Uploader,
    log: EventLog,
    package: Package,
    blobs: DirectoryBlobs,
    blobs_dir: Path,
    tmp_path: Path,
) -> None:
    packaged = await package(log, 1000)
    await uploader.ship(packaged)
    left = tmp_path / "left.mp4"
    left.write_bytes(b"left")
    blobs.put(left, segment_key(packaged.task_id, 1, 0))
    before = await log.load(packaged.task_id)
    await uploader.ship(packaged)
    assert files_in(blobs_dir) == []
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
    blobs: DirectoryBlobs,
    changes: dict[str, str],
    code: str,
) -> None:
    uploader = Uploader(UploaderSettings(**(settings.model_dump() | changes)), log, blobs)
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
    assert blobs.exists(output.blob_key)
    assert blobs.exists(segment_key(packaged.task_id, 1, 0))


async def test_an_impossible_name_is_final(uploader: Uploader, log: EventLog, package: Package) -> None:
    packaged = await package(log, 10, output=OutputRequest(target_dir="../elsewhere"))
    with pytest.raises(Permanent, match="TargetDir"):
        await uploader.ship(packaged)


async def test_a_damaged_file_is_final(
    uploader: Uploader, log: EventLog, package: Package, blobs: DirectoryBlobs, tmp_path: Path
) -> None:
    packaged = await package(log, 10)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"0123456789")
    blobs.put(damaged, (await task_of(log, packaged)).outputs[0].blob_key)
    with pytest.raises(Permanent, match="damaged"):
        await uploader.ship(packaged)


async def test_an_absent_file_may_come_back(
    uploader: Uploader, log: EventLog, package: Package, blobs: DirectoryBlobs
) -> None:
    packaged = await package(log, 10)
    key = (await task_of(log, packaged)).outputs[0].blob_key
    blobs.delete(key)
    with pytest.raises(Transient, match=key):
        await uploader.ship(packaged)


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
        async with asyncio.timeout(20):
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
    assert files_in(settings.blobs_dir) == []


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
            await asyncio.sleep(1)
            assert (await log.js.consumer_info(TASKS, UPLOADER.name)).num_ack_pending == 1
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
