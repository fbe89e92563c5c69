"""The uploader against a real log, a real blob store and a real object store."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.errors import BlobNotFound
from panoreel.blobs.keys import outputs_prefix, segment_key
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts.events import Failure, HlsEncryption, OutputRequest
from panoreel.contracts.outputs import OutputKind, UploadBegun
from panoreel.contracts.task import Phase
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import tell_once
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.worker import Uploader
from services.uploader.tests.conftest import Package, Record
from services.uploader.tests.objects import (
    cache_controls,
    content_types,
    forget,
    lines,
    objects,
    parts,
    unfinished,
    unsigned,
)
from services.uploader.tests.recordings import MIB, Recording
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

SIZES: dict[OutputKind, tuple[int, ...]] = {
    "mp4": (5 * MIB, 8 * MIB, 8 * MIB + 1),
    "hls": (1000, 1001, 1002),
    "sprites": (100,),
}


@pytest.fixture(scope="module")
def deployment(module_nats_server: NatsServer) -> NatsServer:
    """One for all, with tasks of each test's own."""
    return module_nats_server


@pytest.fixture(scope="module")
def blobs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blobs")


@pytest.fixture(scope="module")
def raw_prefix() -> str:
    return f"{uuid4().hex}/"


@pytest.fixture
def uploader(settings: UploaderSettings, log: EventLog, stores: BlobStores) -> Uploader:
    return Uploader(settings, log, stores)


@pytest.fixture
def directory() -> str:
    """A place in the shared bucket of the test's own."""
    return f"lesson-{uuid4().hex}"


@pytest.fixture
def asked(directory: str) -> OutputRequest:
    return OutputRequest(muxers=("mp4", "hls"), target_dir=directory, target_name="x")


def changed(settings: UploaderSettings, **changes: Any) -> UploaderSettings:
    return UploaderSettings(**(settings.model_dump() | changes))


def is_kept(blobs: Blobs, recording: Recording) -> bool:
    """Whether there still is what it was recorded in."""
    return blobs.read(segment_key(recording.task_id, 1, 0)) == b"segment"


def is_packaged(blobs: Blobs, recording: Recording) -> bool:
    """Whether there still is what precedes the pieces of its mp4."""
    try:
        return blobs.read(f"{outputs_prefix(recording.task_id)}mp4/head") == recording.heads["mp4"]
    except BlobNotFound:
        return False


CONTENT_TYPES = {
    "x.mp4": "video/mp4",
    "x.m3u8": "application/vnd.apple.mpegurl",
    "x-live.m3u8": "application/vnd.apple.mpegurl",
    **{f"x-{number:05d}.ts": "video/mp2t" for number in range(3)},
    "x-sprites-00000.jpg": "image/jpeg",
    "x-sprites.vtt": "text/vtt",
    "x.jpg": "image/jpeg",
    "x.json": "application/json",
}


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_what_is_packaged_is_shipped_while_the_recording_runs(
    uploader: Uploader,
    record: Record,
    asked: OutputRequest,
    seaweed: Seaweed,
    blobs: Blobs,
    directory: str,
) -> None:
    recording = await record(asked)
    for output, sizes in SIZES.items():
        for size in sizes[:-1] or sizes:
            piece = await recording.package(output, size)
            await uploader.ship(piece)
            await uploader.ship(piece)
    early = objects(seaweed, directory)
    assert set(early) == {"x-00000.ts", "x-00001.ts", "x-live.m3u8", "x-sprites-00000.jpg"}
    assert lines(early["x-live.m3u8"])[-1] == "x-00001.ts"
    assert parts(seaweed, f"{directory}/x.mp4") == {2}
    [live] = (await recording.task()).files
    assert (live.kind, unsigned(live.filename)) == ("live", "x-live.m3u8")
    assert live.url == f"{seaweed.endpoint}/{seaweed.bucket}/{directory}/{live.filename}"

    # What is packaged last may not be shipped before the close.
    await recording.package("mp4", SIZES["mp4"][-1])
    await uploader.ship(await recording.package("hls", SIZES["hls"][-1]))
    stopped = await recording.stop(mp4=1000, sprites=50, poster=60)
    await uploader.close(stopped)
    stored = objects(seaweed, directory)
    assert stored["x.mp4"] == recording.whole("mp4")
    assert [stored[f"x-{number:05d}.ts"] for number in range(3)] == recording.contents["hls"]
    assert stored["x-sprites-00000.jpg"] == recording.contents["sprites"][0]
    assert (stored["x-sprites.vtt"], stored["x.jpg"]) == (
        recording.heads["sprites"],
        recording.heads["poster"],
    )
    for playlist in ("x.m3u8", "x-live.m3u8"):
        assert lines(stored[playlist])[-2:] == ["x-00002.ts", "#EXT-X-ENDLIST"]
    assert unfinished(seaweed, directory) == []

    task = await recording.task()
    assert (task.status, task.failure) == ("callback", None)
    assert [video.filename for video in task.videos] == ["x.mp4", "x.m3u8"]
    assert [video.bytes for video in task.videos] == [len(recording.whole("mp4")), sum(SIZES["hls"])]
    assert [video.duration_s for video in task.videos] == [18, 18]
    assert task.videos[0].url == f"{seaweed.endpoint}/{seaweed.bucket}/{directory}/x.mp4"
    told = {file.kind: unsigned(file.filename) for file in task.files}
    names = {"live": "x-live.m3u8", "poster": "x.jpg", "sprites": "x-sprites.vtt", "manifest": "x.json"}
    assert told == names
    assert content_types(seaweed, directory) == CONTENT_TYPES
    assert cache_controls(seaweed, directory) == {"x.m3u8": "no-cache", "x-live.m3u8": "no-cache"}
    manifest = json.loads(stored.pop("x.json"))
    stored.pop("x-live.m3u8")
    assert {unsigned(file["Name"]): (file["Bytes"], file["Sha256"]) for file in manifest["Files"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in stored.items()
    }
    assert manifest["TaskID"] == recording.task_id
    assert [(epoch["Epoch"], epoch["OutputTime"]) for epoch in manifest["Epochs"]] == [(1, 0)]
    assert is_kept(blobs, recording)
    assert not is_packaged(blobs, recording)
    events = [event async for event in recording.log.history(recording.task_id)]
    assert events[-1].envelope.cause.causation == str(stopped.envelope.id)

    before = await recording.log.load(recording.task_id)
    await uploader.close(stopped)
    assert await recording.log.load(recording.task_id) == before


@pytest.mark.parametrize("sizes", [(), (1,), (6 * MIB,), (5 * MIB, 1)], ids=["file", "one", "large", "two"])
async def test_a_short_recording_is_one_object(
    uploader: Uploader, record: Record, seaweed: Seaweed, sizes: tuple[int, ...]
) -> None:
    recording = await record()
    for size in sizes:
        await recording.package("mp4", size)
    await uploader.close(await recording.stop(mp4=9 * MIB if not sizes else 100))
    name = (await recording.task()).videos[0].filename
    assert objects(seaweed, recording.task_id)[name] == recording.whole("mp4")
    assert unfinished(seaweed, recording.task_id) == []


async def test_a_task_without_media_has_no_results(
    uploader: Uploader, record: Record, seaweed: Seaweed
) -> None:
    recording = await record()
    await uploader.close(await recording.stop())
    task = await recording.task()
    assert (task.status, task.videos, task.files) == ("callback", (), ())
    assert objects(seaweed, recording.task_id) == {}


async def test_encryption_is_told_in_both_playlists(
    uploader: Uploader, record: Record, seaweed: Seaweed, directory: str
) -> None:
    encryption = HlsEncryption(auth_url="https://keys.example/1", iv="0" * 31 + "1")
    asked = OutputRequest(muxers=("hls",), encryption=encryption, target_dir=directory, target_name="x.m3u8")
    recording = await record(asked)
    await uploader.ship(await recording.package("hls", 100))
    await uploader.close(await recording.stop())
    stored = objects(seaweed, directory)
    for name in ("x.m3u8", "x-live.m3u8"):
        assert stored[name].count(b'METHOD=AES-128,URI="https://keys.example/1",IV=0x0') == 1


async def test_a_live_playlist_has_no_hole(
    uploader: Uploader, record: Record, asked: OutputRequest, seaweed: Seaweed, directory: str
) -> None:
    recording = await record(asked)
    pieces = [await recording.package("hls", 100) for _ in range(3)]
    for number, segments in ((0, 1), (2, 1), (1, 3)):
        await uploader.ship(pieces[number])
        assert objects(seaweed, directory)["x-live.m3u8"].count(b"#EXTINF") == segments


@pytest.mark.parametrize("stage", ["packaging", "upload"])
async def test_a_live_playlist_ends_when_there_is_no_more(
    uploader: Uploader, record: Record, seaweed: Seaweed, stage: str
) -> None:
    directory = uuid4().hex
    recording = await record(OutputRequest(muxers=("hls",), target_dir=directory, target_name="x"))
    for piece in await recording.package_each(("hls", 100), ("hls", 200)):
        await uploader.ship(piece)
    failure = Failure(code="InternalError", message="it failed")
    if stage == "packaging":
        await uploader.end_live(await recording.fail(failure))
    else:
        await uploader.give_up(await recording.stop(), failure)
    assert lines(objects(seaweed, directory)["x-live.m3u8"])[-2:] == ["x-00001.ts", "#EXT-X-ENDLIST"]


async def test_a_live_playlist_ends_although_a_piece_could_not_be_made(
    uploader: Uploader, record: Record, seaweed: Seaweed, directory: str
) -> None:
    recording = await record(OutputRequest(muxers=("hls",), target_dir=directory, target_name="x"))
    await uploader.ship(await recording.package("hls", 100))
    recording.contents["hls"].append(b"")
    await uploader.ship(await recording.package("hls", 100))
    assert b"-00002.ts" not in objects(seaweed, directory)["x-live.m3u8"]
    await uploader.close(await recording.stop())
    assert lines(objects(seaweed, directory)["x-live.m3u8"])[-2:] == ["x-00002.ts", "#EXT-X-ENDLIST"]


async def test_an_upload_that_another_replica_begins_at_once_is_the_only_one(
    uploader: Uploader, record: Record, asked: OutputRequest, seaweed: Seaweed, directory: str
) -> None:
    recording = await record(asked)
    client = seaweed.client()
    key = f"{directory}/x.mp4"
    theirs = client.create_multipart_upload(Bucket=seaweed.bucket, Key=key)["UploadId"]
    client.close()
    await recording.package("mp4", 5 * MIB)
    piece = await recording.package("mp4", 8 * MIB)
    fact = UploadBegun(
        task_id=recording.task_id, output="mp4", bucket=seaweed.bucket, key=key, upload_id=theirs
    )
    await tell_once(recording.log, fact)
    await uploader.ship(piece)
    assert unfinished(seaweed, directory) == [theirs]
    assert parts(seaweed, key) == {2}


async def test_an_upload_that_the_store_forgot_is_made_again(
    uploader: Uploader, record: Record, asked: OutputRequest, seaweed: Seaweed, directory: str
) -> None:
    recording = await record(asked)
    key = f"{directory}/x.mp4"
    pieces = [await recording.package("mp4", size) for size in (5 * MIB, 8 * MIB, 8 * MIB, 1)]
    await uploader.ship(pieces[1])
    forget(seaweed, key)
    await uploader.ship(pieces[2])
    assert parts(seaweed, key) == {3}
    forget(seaweed, key)
    await uploader.close(await recording.stop(mp4=100))
    assert objects(seaweed, directory)["x.mp4"] == recording.whole("mp4")
    assert unfinished(seaweed, directory) == []


async def test_what_a_killed_replica_left_is_removed(
    uploader: Uploader, record: Record, asked: OutputRequest, seaweed: Seaweed, directory: str
) -> None:
    client = seaweed.client()
    client.create_multipart_upload(Bucket=seaweed.bucket, Key=f"{directory}/x.mp4")
    client.close()
    recording = await record(asked)
    for size in (5 * MIB, 1):
        await recording.package("mp4", size)
    await uploader.close(await recording.stop(mp4=100))
    assert unfinished(seaweed, directory) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"s3_secret_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"s3_bucket": "no-such-bucket"}, "NoSuchBucket"),
    ],
)
@pytest.mark.parametrize("muxer", ["mp4", "hls"])
async def test_what_the_store_refuses_is_kept(
    settings: UploaderSettings,
    log: EventLog,
    record: Record,
    stores: BlobStores,
    blobs: Blobs,
    changes: dict[str, str],
    code: str,
    muxer: OutputKind,
) -> None:
    uploader = Uploader(changed(settings, **changes), log, stores)
    recording = await record(OutputRequest(muxers=("mp4", "hls")))
    await recording.package(muxer, 100)
    packaged = await recording.stop(mp4=10)
    with pytest.raises(Permanent, match=code) as refusal:
        await uploader.close(packaged)
    await uploader.give_up(packaged, Failure(code=refusal.value.code, message=str(refusal.value)))
    task = await recording.task()
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.code == "InternalError"
    assert task.failure.message.startswith(f"video upload failed({code}: ")
    assert task.failure.message.endswith(
        f"its media is kept for 30 days in the blob directory,"
        f" below outputs/{task.task_id}/ and segments/{task.task_id}/"
    )
    await uploader.close(packaged)
    assert is_kept(blobs, recording)
    assert is_packaged(blobs, recording)


async def test_what_its_target_refuses_goes_to_the_backup_store(
    settings: UploaderSettings,
    log: EventLog,
    record: Record,
    stores: BlobStores,
    seaweed: Seaweed,
    asked: OutputRequest,
    directory: str,
) -> None:
    backup = f"backup-{uuid4().hex}"
    client = seaweed.client()
    client.create_bucket(Bucket=backup)
    client.close()
    settings = changed(
        settings,
        backup_endpoint=seaweed.endpoint,
        backup_region=seaweed.region,
        backup_access_key=seaweed.access_key,
        backup_secret_key=seaweed.secret_key,
        backup_bucket=backup,
    )
    recording = await record(asked)
    for piece in await recording.package_each(("mp4", 5 * MIB), ("mp4", 8 * MIB), ("hls", 100)):
        await Uploader(settings, log, stores).ship(piece)
    refused = Uploader(changed(settings, s3_secret_key="wrong"), log, stores)
    await refused.close(await recording.stop(mp4=100))
    task = await recording.task()
    assert task.videos[0].url == f"{seaweed.endpoint}/{backup}/{directory}/x.mp4"
    assert "SignatureDoesNotMatch" in (task.videos[0].refusal or "")
    stored = objects(seaweed, directory, bucket=backup)
    assert stored["x.mp4"] == recording.whole("mp4")
    assert {"x.m3u8", "x-00000.ts", "x.json"} < set(stored)


async def test_a_store_that_was_away_for_too_long_is_told(
    settings: UploaderSettings, log: EventLog, package: Package, stores: BlobStores, blobs: Blobs
) -> None:
    away = {"s3_endpoint": "http://127.0.0.1:9"}
    recording, packaged = await package(10)
    with pytest.raises(Transient, match="does not answer"):
        await Uploader(changed(settings, **away), log, stores).close(packaged)
    with pytest.raises(Permanent, match="does not answer; tried for 0 hours"):
        await Uploader(changed(settings, **away, upload_patience_h=0), log, stores).close(packaged)
    assert is_packaged(blobs, recording)


async def test_whatever_goes_wrong_for_too_long_is_told(
    settings: UploaderSettings, log: EventLog, package: Package, stores: BlobStores, blobs: Blobs
) -> None:
    """What was packaged is gone: nobody foresees why."""
    recording, packaged = await package(10)
    blobs.delete_prefix(outputs_prefix(recording.task_id))
    with pytest.raises(Transient):
        await Uploader(settings, log, stores).close(packaged)
    with pytest.raises(Permanent, match="tried for 0 hours"):
        await Uploader(changed(settings, upload_patience_h=0), log, stores).close(packaged)


@pytest.mark.parametrize("muxer", ["mp4", "hls"])
async def test_an_impossible_name_is_final(uploader: Uploader, record: Record, muxer: OutputKind) -> None:
    recording = await record(OutputRequest(muxers=("mp4", "hls"), target_dir="../elsewhere"))
    await uploader.ship(await recording.package(muxer, 10))
    with pytest.raises(Permanent, match="TargetDir"):
        await uploader.close(await recording.stop())


async def test_a_file_of_another_application_stays(
    uploader: Uploader, record: Record, seaweed: Seaweed, asked: OutputRequest, directory: str
) -> None:
    async def shipped(application: str, *sizes: int) -> Recording:
        recording = await record(asked, application)
        for size in sizes:
            await recording.package("mp4", size)
        await uploader.close(await recording.stop(mp4=10))
        return recording

    long = (5 * MIB, 1)
    first = await shipped("school-a", 1)
    for sizes in ((1,), long):
        with pytest.raises(Permanent, match="TargetDir and TargetName name a file of another application"):
            await shipped("school-b", *sizes)
    assert objects(seaweed, directory)["x.mp4"] == first.whole("mp4")
    assert unfinished(seaweed, directory) == []
    again = await shipped("school-a", *long)
    with pytest.raises(Permanent, match="of another application"):
        await shipped("school-b", *long)
    assert objects(seaweed, directory)["x.mp4"] == again.whole("mp4")


async def test_giving_up_on_a_playlist_alone_is_told(
    uploader: Uploader, record: Record, directory: str
) -> None:
    asked = OutputRequest(muxers=("hls",), target_dir=directory, target_name="x")
    recording = await record(asked)
    await recording.package("hls", 10)
    await uploader.give_up(await recording.stop(), Failure(code="InternalError", message="refused"))
    failure = (await recording.task()).failure
    assert failure
    assert failure.message.startswith("video upload failed(refused)")


@pytest.mark.parametrize("sizes", [(), (5 * MIB, 10)])
async def test_a_damaged_file_is_final(
    uploader: Uploader, record: Record, blobs: Blobs, sizes: tuple[int, ...]
) -> None:
    recording = await record()
    for size in sizes:
        await recording.package("mp4", size)
    packaged = await recording.stop(mp4=10)
    blobs.put_bytes(b"0123456789", f"{outputs_prefix(recording.task_id)}mp4/{1 if sizes else 'head'}")
    with pytest.raises(Permanent, match="damaged"):
        await uploader.close(packaged)


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_an_absent_file_may_come_back(uploader: Uploader, package: Package, blobs: Blobs) -> None:
    recording, packaged = await package(10)
    blobs.delete_prefix(outputs_prefix(recording.task_id))
    with pytest.raises(Transient, match=f"{outputs_prefix(recording.task_id)}mp4/head"):
        await uploader.close(packaged)


@pytest.mark.parametrize("storage_type", ["cos"])
async def test_a_raw_bucket_that_refuses_may_be_mended(
    settings: UploaderSettings, log: EventLog, package: Package, seaweed: Seaweed
) -> None:
    """Unlike the bucket of the result, which is the caller's choice."""
    _, packaged = await package(10)
    refusing = BucketBlobs(replace(seaweed.access, secret_key=SecretStr("wrong")), seaweed.bucket, "raw/")
    with pytest.raises(Transient, match="SignatureDoesNotMatch"):
        await Uploader(settings, log, BlobStores(log, {"cos": refusing})).close(packaged)


@pytest.mark.parametrize("storage_type", ["cos"])
async def test_a_storage_that_this_service_lacks_is_final(
    settings: UploaderSettings, log: EventLog, package: Package
) -> None:
    _, packaged = await package(10)
    with pytest.raises(Permanent, match="StorageType cos is not configured here"):
        await Uploader(settings, log, BlobStores(log, {})).close(packaged)


async def test_a_presigned_url_is_good_without_a_key(
    settings: UploaderSettings, log: EventLog, stores: BlobStores, package: Package
) -> None:
    recording, packaged = await package(10)
    presigning = changed(settings, url_style="presigned", presigned_url_s=60)
    await Uploader(presigning, log, stores).close(packaged)
    [video] = (await recording.task()).videos
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(video.url)).content == recording.whole("mp4")
        assert (await client.get(video.url.partition("?")[0])).status_code == 403
