"""The uploader as a process, when it is killed and when its store has bad days."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from panoreel.blobs.shared import BlobStores
from panoreel.contracts.events import OutputRequest
from panoreel.contracts.task import Phase
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.topology import OUTPUTS, SHIPPING, TASKS, UPLOADER
from panoreel.uploader import sweeper
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.sweeper import Sweeper
from panoreel.uploader.worker import Uploader
from services.uploader.tests.conftest import Package, Record
from services.uploader.tests.objects import objects, parts, unfinished, unsigned
from services.uploader.tests.process import service, variables
from services.uploader.tests.recordings import MIB, Recording
from tests.servers.faulty_store import FaultyStore, Request, cos_refuses, faulty_store, refusal
from tests.servers.seaweed import Seaweed

PATIENCE_S = 120.0
BOTH = OutputRequest(muxers=("mp4", "hls"))
FULL = refusal("403 Forbidden", "QuotaExceeded", "The bucket is full")
FULL_DISK = refusal("507 Insufficient Storage", "InsufficientStorage", "The disk is full")


@pytest.fixture
async def faulty(seaweed: Seaweed) -> AsyncIterator[FaultyStore]:
    async with faulty_store(seaweed.endpoint) as store:
        yield store


@pytest.fixture
def reached(settings: UploaderSettings, faulty: FaultyStore) -> UploaderSettings:
    """The store is reached through what makes it faulty."""
    return settings.model_copy(update={"s3_endpoint": faulty.endpoint})


async def until(recording: Recording, phase: Phase) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await recording.reached(phase):
            await asyncio.sleep(0.1)


async def expect_result(recording: Recording, store: Seaweed) -> None:
    """All of it was stored, once, and nothing else."""
    await until(recording, Phase.CALLBACK)
    task = await recording.task()
    assert task.failure is None
    async with asyncio.timeout(PATIENCE_S):
        while not [name for name in objects(store, task.task_id) if name.endswith(".json")]:
            await asyncio.sleep(0.1)
    found = objects(store, task.task_id)
    names = {video.filename for video in task.videos} | {unsigned(file.filename) for file in task.files}
    segments = recording.contents.get("hls", [])
    for number, content in enumerate(segments):
        assert found[f"playlist-{number:05d}.ts"] == content
    assert found[task.videos[0].filename] == recording.whole("mp4")
    assert set(found) - names == {f"playlist-{number:05d}.ts" for number in range(len(segments))}
    assert unfinished(store, task.task_id) == []
    told = [event.envelope.type async for event in recording.log.history(task.task_id)]
    assert told.count("outputs_uploaded") == 1


@pytest.mark.parametrize("outage_s", [3.0, pytest.param(120.0, marks=pytest.mark.soak)])
async def test_a_store_that_is_away_and_comes_back(
    reached: UploaderSettings,
    faulty: FaultyStore,
    record: Record,
    seaweed: Seaweed,
    tmp_path: Path,
    outage_s: float,
) -> None:
    recording = await record(BOTH)
    async with service(reached, tmp_path) as process:
        await recording.package_each(("mp4", 5 * MIB), ("mp4", 8 * MIB), ("hls", 1000))
        faulty.away = True
        await recording.package_each(("mp4", 8 * MIB), ("hls", 1000))
        await recording.stop(mp4=1000)
        await asyncio.sleep(outage_s)
        assert (await recording.task()).phase == Phase.UPLOAD
        faulty.away = False
        await expect_result(recording, seaweed)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert not (tmp_path / "ready").exists()


async def test_what_a_store_did_not_take_follows_the_next_that_it_takes(
    reached: UploaderSettings,
    faulty: FaultyStore,
    record: Record,
    log: EventLog,
    stores: BlobStores,
    seaweed: Seaweed,
) -> None:
    recording = await record(OutputRequest(muxers=("mp4", "hls"), target_name="x"))
    uploader = Uploader(reached, log, stores)
    await recording.package("mp4", 5 * MIB)
    faulty.refuse = lambda request: FULL if request.method == "PUT" else None
    for piece in await recording.package_each(("mp4", 8 * MIB), ("hls", 1000), ("hls", 1000)):
        await uploader.ship(piece)
    assert objects(seaweed, recording.task_id) == {}
    faulty.refuse = cos_refuses
    for piece in await recording.package_each(("mp4", 8 * MIB), ("hls", 1000)):
        await uploader.ship(piece)
    assert objects(seaweed, recording.task_id)["x-live.m3u8"].count(b"#EXTINF") == 3
    assert parts(seaweed, f"{recording.task_id}/x.mp4") == {2, 3}


async def test_a_store_that_fails_often(
    reached: UploaderSettings, faulty: FaultyStore, record: Record, seaweed: Seaweed, tmp_path: Path
) -> None:
    luck = random.Random(5)
    faults = [b"", refusal("500 Internal Server Error", "InternalError")]

    def refuse(request: Request) -> bytes | None:
        return luck.choice(faults) if luck.random() < 0.3 else cos_refuses(request)

    faulty.refuse = refuse
    recording = await record(BOTH)
    async with service(reached, tmp_path):
        for size in (5 * MIB, 8 * MIB, 8 * MIB):
            await recording.package_each(("mp4", size), ("hls", 1000))
        await recording.stop(mp4=1000)
        await expect_result(recording, seaweed)


async def test_a_slow_store_does_not_keep_others_waiting(
    reached: UploaderSettings, faulty: FaultyStore, record: Record, seaweed: Seaweed, tmp_path: Path
) -> None:
    slow, other = await record(), await record()
    faulty.slow, faulty.hold = slow.task_id, asyncio.Event()
    async with service(reached, tmp_path):
        await slow.stop(mp4=400_000)
        await other.stop(mp4=400_000)
        await until(other, Phase.CALLBACK)
        assert not await slow.reached(Phase.CALLBACK)
        faulty.hold.set()
        for recording in (slow, other):
            await expect_result(recording, seaweed)


@pytest.mark.soak
async def test_a_whole_recording_for_a_slow_store(
    reached: UploaderSettings, faulty: FaultyStore, record: Record, seaweed: Seaweed, tmp_path: Path
) -> None:
    recording = await record(BOTH)
    faulty.slow = recording.task_id
    async with service(reached, tmp_path):
        for size in (5 * MIB, 8 * MIB):
            await recording.package_each(("mp4", size), ("hls", 100_000))
        await recording.stop(mp4=1000)
        await expect_result(recording, seaweed)


@pytest.mark.parametrize(("answer", "recovers"), [(FULL, False), (FULL_DISK, True)], ids=["quota", "disk"])
async def test_a_store_that_is_full(
    reached: UploaderSettings,
    faulty: FaultyStore,
    package: Package,
    seaweed: Seaweed,
    tmp_path: Path,
    answer: bytes,
    recovers: bool,
) -> None:
    faulty.refuse = lambda request: answer if request.method == "PUT" else None
    recording, _ = await package(1000)
    async with service(reached, tmp_path):
        if recovers:
            async with asyncio.timeout(PATIENCE_S):
                while not any(request.method == "PUT" for request in faulty.requests):
                    await asyncio.sleep(0.1)
            faulty.refuse = cos_refuses
            await expect_result(recording, seaweed)
        else:
            await until(recording, Phase.CALLBACK)
            failure = (await recording.task()).failure
            assert failure
            assert "QuotaExceeded: The bucket is full); its media is kept for 30 days" in failure.message


@pytest.mark.parametrize("is_away", [False, True])
async def test_what_goes_to_the_backup_store_leaves_no_upload_at_its_target(
    reached: UploaderSettings,
    faulty: FaultyStore,
    record: Record,
    log: EventLog,
    stores: BlobStores,
    seaweed: Seaweed,
    monkeypatch: pytest.MonkeyPatch,
    is_away: bool,
) -> None:
    """At once, or when the media is removed, if the target cannot be asked before."""
    backup: dict[str, Any] = {
        "backup_bucket": seaweed.bucket,
        "backup_endpoint": seaweed.endpoint,
        "backup_region": seaweed.region,
        "backup_access_key": SecretStr(seaweed.access_key),
        "backup_secret_key": SecretStr(seaweed.secret_key),
        "s3_bucket": f"target-{uuid4().hex}",
    }
    with closing(seaweed.client()) as client:
        client.create_bucket(Bucket=backup["s3_bucket"])
    recording = await record()
    changed = reached.model_copy(update=backup)
    uploader = Uploader(changed, log, stores)
    for size in (5 * MIB, 8 * MIB):
        await uploader.ship(await recording.package("mp4", size))
    assert unfinished(seaweed, recording.task_id, backup["s3_bucket"])
    faulty.refuse = lambda request: FULL if request.method == "PUT" or is_away else None
    await uploader.close(await recording.stop(mp4=1000))
    await expect_result(recording, seaweed)
    faulty.refuse = cos_refuses
    assert len(unfinished(seaweed, recording.task_id, backup["s3_bucket"])) == is_away
    monkeypatch.setattr(sweeper, "ABANDONED", timedelta())
    await Sweeper(log, stores, changed.model_copy(update={"media_retention_h": 0.0})).sweep()
    assert unfinished(seaweed, recording.task_id, backup["s3_bucket"]) == []


async def test_an_upload_whose_beginning_is_not_confirmed_is_removed(
    reached: UploaderSettings,
    faulty: FaultyStore,
    record: Record,
    log: EventLog,
    stores: BlobStores,
    seaweed: Seaweed,
) -> None:
    """Of a recording, and of a file that is stored whole, as clips are."""
    begun: list[Request] = []

    def loses(request: Request) -> bool:
        if request.method == "POST" and request.target.endswith("?uploads"):
            begun.append(request)
            return len(begun) == 1
        return False

    faulty.loses = loses
    for sizes, index in (((5 * MIB, 8 * MIB), 1000), ((), 9 * MIB)):
        begun.clear()
        recording = await record()
        uploader = Uploader(reached, log, stores)
        for size in sizes:
            await uploader.ship(await recording.package("mp4", size))
        await uploader.close(await recording.stop(mp4=index))
        assert len(begun) >= 2, "it was begun again"
        await expect_result(recording, seaweed)


@pytest.mark.parametrize("recordings", [1, pytest.param(5, marks=pytest.mark.soak)])
async def test_a_service_that_is_killed_at_any_moment(
    settings: UploaderSettings,
    record: Record,
    seaweed: Seaweed,
    tmp_path: Path,
    recordings: int,
    log: EventLog,
) -> None:
    """Each recording survives three kills while it runs, and three after its end, of two replicas each."""
    for stream, consumer in ((TASKS, UPLOADER), (OUTPUTS, SHIPPING)):
        await log.js.add_consumer(stream, replace(consumer, ack_wait_s=2).config())
    moments = random.Random()
    for _ in range(recordings):
        recording = await record(BOTH)
        await recording.package("mp4", 5 * MIB)
        for kill in range(6):
            if kill < 3:
                await recording.package_each(("mp4", 8 * MIB), ("hls", 1000), ("hls", 1000))
            elif kill == 3:
                await recording.stop(mp4=1000)
            async with AsyncExitStack() as replicas:
                for replica in ("a", "b"):
                    (tmp_path / replica).mkdir(exist_ok=True)
                    await replicas.enter_async_context(service(settings, tmp_path / replica))
                    await asyncio.sleep(moments.uniform(0, 0.5))
        async with service(settings, tmp_path):
            await expect_result(recording, seaweed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_ended_service_leaves_the_work_to_the_next(
    settings: UploaderSettings,
    log: EventLog,
    package: Package,
    seaweed: Seaweed,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    stuck = settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"})
    await log.js.add_consumer(TASKS, replace(UPLOADER, ack_wait_s=2).config())
    async with service(stuck, tmp_path) as process:
        recording, _ = await package(1000)
        async with asyncio.timeout(60):
            while not (await log.js.consumer_info(TASKS, UPLOADER.name)).num_ack_pending:
                await asyncio.sleep(0.05)
        process.send_signal(number)
        await asyncio.to_thread(process.wait, 60)
    async with service(settings, tmp_path):
        await expect_result(recording, seaweed)


def test_an_absent_blob_directory_is_named(settings: UploaderSettings) -> None:
    absent = settings.model_copy(update={"blobs_dir": Path("/absent")})
    ended = subprocess.run(
        [sys.executable, "-m", "panoreel.uploader"],
        env=os.environ | variables(absent),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "PANOREEL_BLOBS_DIR: the blob directory /absent does not exist" in ended.stderr
    assert "Traceback" not in ended.stderr
