"""Results that go to VOD: real media in a real store, behind an emulator of VOD that verifies signatures."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import stamina
from pydantic import SecretStr

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.keys import output_key, outputs_prefix
from panoreel.blobs.store import Blobs
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import (
    HlsEncryption,
    Output,
    OutputRequest,
    OutputsPackaged,
    TaskCreated,
    VodRequest,
)
from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.outputs import Muxer, Piece
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.outputs import tell_once
from panoreel.eventlog.topology import TASKS, UPLOADER
from panoreel.uploader import vod
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.vod_api import Media
from tests.emulators.vod import Fault, VodEmulator
from tests.servers.nats import NatsServer
from tests.servers.seaweed import Seaweed

MIB = 1 << 20

SILENT = Fault(body=b"")
LOST_ANSWER = Fault(body=b"", done=True)
NO_SESSION = "InvalidParameterValue.VodSessionKey"


@pytest.fixture
def emulator(seaweed: Seaweed) -> Iterator[VodEmulator]:
    with VodEmulator(seaweed).running() as running, stamina.set_testing(True, attempts=5, cap=True):
        yield running


@dataclass
class Desk:
    """A log and a blob store, with tasks that are packaged and have to go to VOD."""

    log: EventLog
    blobs: Blobs
    settings: UploaderSettings

    async def task(self, contents: dict[Muxer, list[bytes]], **wanted: Any) -> Task:
        """A task whose mp4 is an index and then pieces, and whose playlist has these segments."""
        task_id = uuid4().hex
        outputs = []
        for muxer, parts in contents.items():
            blob_key = sha256 = None
            pieces = parts
            if muxer == "mp4":
                blob_key, pieces = output_key(task_id, "mp4/index"), parts[1:]
                self.blobs.put_bytes(parts[0], blob_key)
                sha256 = hashlib.sha256(parts[0]).hexdigest()
            for number, content in enumerate(pieces):
                await self._package(task_id, muxer, number, content)
            outputs.append(
                Output(
                    kind=muxer,
                    blob_key=blob_key,
                    sha256=sha256,
                    bytes=sum(map(len, parts)),
                    duration_s=10.2,
                    frames=300,
                    pieces=tuple(range(len(pieces))),
                )
            )
        created = TaskCreated(
            record_url="https://example.com/",
            secrets_key=task_id,
            encoder=EncoderParameters(width=1280, height=720),
            max_duration_s=60,
            output=OutputRequest(**{"muxers": tuple(contents), "vod": VodRequest()} | wanted),
        )
        for command in (
            commands.Create(created),
            commands.Claim("recorder-1"),
            commands.ReportStarted(1, datetime.now(UTC)),
            commands.Stop("api"),
            commands.ReportStopped(1, 0, frames=300),
            commands.ReportPackaged(OutputsPackaged(outputs=tuple(outputs))),
        ):
            task = (await self.log.execute(task_id, command, Cause("test"))).task
        assert task
        return task

    async def publish(self, task: Task) -> list[str]:
        """The media files that are made of it."""
        videos = await vod.publish(task, self.log, self.blobs, self.settings)
        return [video.file_id or "" for video in videos]

    async def _package(self, task_id: str, muxer: Muxer, number: int, content: bytes) -> None:
        key = output_key(task_id, f"{muxer}/{number}")
        self.blobs.put_bytes(content, key)
        piece = Piece(
            task_id=task_id,
            output=muxer,
            number=number,
            blob_key=key,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            segments=((1, number),),
            first_sample=number * 48000,
            samples=48000,
            frames=30,
        )
        assert await tell_once(self.log, piece)


@pytest.fixture
async def desk(emulator: VodEmulator, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = UploaderSettings(
        nats_url=nats_server.url,
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key="none",
        s3_secret_key="none",
        s3_bucket="none",
        s3_region="none",
        vod_secret_id=emulator.secret_id,
        vod_secret_key=emulator.secret_key,
        vod_endpoint=emulator.endpoint,
        vod_s3_endpoint=emulator.door.endpoint,
    )
    async with open_log(nats_server.url, "test") as log:
        yield Desk(log, DirectoryBlobs(tmp_path), settings)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([1000], id="one blob"),
        pytest.param([9 * MIB], id="one large blob"),
        pytest.param([1000, 2000], id="an index and one piece"),
        pytest.param([1000, 5 * MIB, 8 * MIB, 10], id="parts"),
    ],
)
async def test_an_mp4_becomes_one_media_file(desk: Desk, emulator: VodEmulator, sizes: list[int]) -> None:
    parts = [os.urandom(size) for size in sizes]
    task = await desk.task({"mp4": parts}, target_name="lesson")
    [video] = await vod.publish(task, desk.log, desk.blobs, desk.settings)
    [(file_id, media)] = emulator.media.items()
    assert emulator.content(media.key) == b"".join(parts)
    assert (video.filename, video.bytes, video.duration_s) == ("lesson.mp4", sum(sizes), 10.2)
    assert video.file_id == file_id
    assert int(file_id) > 2**53
    assert video.url == f"http://1500007120.vod2.myqcloud.com{media.path}"
    assert emulator.called("ApplyUpload") == [{"MediaType": "mp4", "SourceContext": task.task_id}]
    emulator.calls.clear()
    assert await desk.publish(task) == [file_id]
    assert emulator.calls == []


async def test_a_playlist_lies_beside_its_segments(desk: Desk, emulator: VodEmulator) -> None:
    encryption = HlsEncryption(auth_url="https://keys.example.com/k", iv="0123456789abcdef" * 2)
    segments = [os.urandom(188 * (n + 1)) for n in range(10)]
    task = await desk.task({"mp4": [b"index", b"media"], "hls": segments}, encryption=encryption)
    videos = await vod.publish(task, desk.log, desk.blobs, desk.settings)
    assert [video.file_id for video in videos] == list(emulator.media)
    media = emulator.media[videos[1].file_id or ""]
    playlist = emulator.content(media.key).decode()
    assert '#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example.com/k",IV=0x0123456789abcdef' in playlist
    names = [line for line in playlist.splitlines() if not line.startswith("#")]
    directory = media.key.rpartition("/")[0]
    assert [emulator.content(f"{directory}/{name}") for name in names] == segments
    assert len(names) == 10
    assert [parameters["MediaType"] for parameters in emulator.called("ApplyUpload")] == ["mp4", "m3u8"]


async def test_what_the_caller_wants_is_passed_on(desk: Desk, emulator: VodEmulator) -> None:
    emulator.sub_app_id = 1500007120
    wanted = VodRequest(
        sub_app_id=1500007120,
        media_name="课堂",
        expire_time="2033-10-01T10:00:00Z",
        storage_region="ap-shanghai",
        class_id=7,
        source_context="lesson 1",
        procedure="LongVideoPreset",
        session_context="s",
    )
    await desk.publish(await desk.task({"mp4": [b"index", b"media"]}, vod=wanted))
    assert emulator.called("ApplyUpload") == [
        {
            "MediaType": "mp4",
            "SubAppId": 1500007120,
            "MediaName": "课堂",
            "ExpireTime": "2033-10-01T10:00:00Z",
            "StorageRegion": "ap-shanghai",
            "ClassId": 7,
            "SourceContext": "lesson 1",
            "Procedure": "LongVideoPreset",
            "SessionContext": "s",
        }
    ]
    empty = VodRequest(sub_app_id=1500007120, procedure="", media_name="", session_context="")
    task = await desk.task({"mp4": [b"index", b"media"]}, vod=empty)
    await desk.publish(task)
    last = emulator.called("ApplyUpload")[-1]
    assert last == {"MediaType": "mp4", "SubAppId": 1500007120, "SourceContext": task.task_id}


@pytest.mark.parametrize(
    ("action", "fault", "times", "uploads"),
    [
        ("ApplyUpload", SILENT, 1, 2),
        ("ApplyUpload", Fault(status=502), 2, 3),
        ("ApplyUpload", Fault(body=b"<html>"), 1, 2),
        ("CommitUpload", Fault(body=b'{"Response": {}}', done=True), 1, 1),
        ("ApplyUpload", Fault(code="RequestLimitExceeded.UinLimitExceeded"), 4, 5),
        ("ApplyUpload", Fault(code="AuthFailure.SignatureExpire"), 1, 2),
        ("CommitUpload", SILENT, 2, 1),
        ("CommitUpload", LOST_ANSWER, 1, 1),
        ("CommitUpload", Fault(code="InternalError.DBError", done=True), 1, 1),
        ("CommitUpload", Fault(status=500, done=True), 4, 1),
        # A clear answer that the upload is lost: it is made again.
        ("CommitUpload", Fault(code=NO_SESSION), 1, 2),
        ("CommitUpload", Fault(code="ResourceNotFound"), 2, 3),
    ],
)
async def test_trouble_passes(
    desk: Desk, emulator: VodEmulator, action: str, fault: Fault, times: int, uploads: int
) -> None:
    emulator.fail(action, fault, times)
    task = await desk.task({"mp4": [b"index", b"media"]})
    assert await desk.publish(task) == list(emulator.media)
    assert len(emulator.media) == 1
    assert len(emulator.called("ApplyUpload")) == uploads


@pytest.mark.parametrize(
    ("action", "fault", "error", "words"),
    [
        ("ApplyUpload", Fault(code="FailedOperation.InvalidVodUser"), Permanent, r"FailedOperation.InvalidV"),
        ("ApplyUpload", Fault(code="UnauthorizedOperation"), Permanent, r"UnauthorizedOperation: said the"),
        (
            "CommitUpload",
            Fault(code="InvalidParameterValue.SubAppId"),
            Permanent,
            r"\(RequestId [0-9a-f-]{36}\)",
        ),
        ("CommitUpload", Fault(code=NO_SESSION), Permanent, NO_SESSION),
        ("ApplyUpload", Fault(code="RequestLimitExceeded"), Transient, "RequestLimitExceeded"),
        ("ApplyUpload", Fault(status=503), Transient, "ServerNetworkError"),
        ("ApplyUpload", SILENT, Transient, "ClientNetworkError"),
    ],
)
async def test_what_lasts_is_told(
    desk: Desk,
    emulator: VodEmulator,
    action: str,
    fault: Fault,
    error: type[Permanent | Transient],
    words: str,
) -> None:
    emulator.fail(action, fault, 9)
    with pytest.raises(error, match=words) as raised:
        await desk.publish(await desk.task({"mp4": [b"index", b"media"]}))
    assert emulator.secret_key not in str(raised.value)
    assert emulator.media == {}


async def test_a_refusal_is_seen_whatever_its_content_type(desk: Desk, emulator: VodEmulator) -> None:
    """The SDK passes over what is not exactly `application/json`."""
    emulator.content_type = "application/json; charset=utf-8"
    emulator.fail("ApplyUpload", Fault(code="InternalError"))
    emulator.fail("ApplyUpload", Fault(code="UnauthorizedOperation"))
    with pytest.raises(Permanent, match=r"VOD: UnauthorizedOperation: .*RequestId"):
        await desk.publish(await desk.task({"mp4": [b"index", b"media"]}))


async def test_a_commit_that_was_not_heard_of_is_repeated(desk: Desk, emulator: VodEmulator) -> None:
    """What a replica finds that takes over from one that was killed between the commit and its event."""
    emulator.fail("CommitUpload", LOST_ANSWER, 5)
    task = await desk.task({"mp4": [b"index", b"media"]})
    with pytest.raises(Transient, match="ClientNetworkError"):
        await desk.publish(task)
    assert await desk.publish(task) == list(emulator.media)
    assert len(emulator.media) == 1
    assert len(emulator.called("ApplyUpload")) == 1


@contextmanager
def service(settings: UploaderSettings, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The uploader as it is deployed: a process of its own."""
    changed = settings.model_dump(exclude_none=True) | {"blobs_dir": directory}
    environment = {
        f"PANOREEL_{name.upper()}": str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in changed.items()
    }
    process = subprocess.Popen([sys.executable, "-m", "panoreel.uploader"], env=os.environ | environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_replica_is_killed_between_commit_and_event(
    desk: Desk, emulator: VodEmulator, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    settings = UploaderSettings(**(desk.settings.model_dump() | {"nats_url": own_nats_server.url}))
    async with open_log(own_nats_server.url, "test") as log:
        await log.js.add_consumer(TASKS, replace(UPLOADER, ack_wait_s=2).config())
        task = await Desk(log, desk.blobs, settings).task({"mp4": [b"index", b"media"]})
        with service(settings, tmp_path) as process:
            emulator.fail("CommitUpload", replace(LOST_ANSWER, then=process.kill))
            assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
        with service(settings, tmp_path):
            async with asyncio.timeout(60):
                while task.phase < Phase.CALLBACK:
                    await asyncio.sleep(0.05)
                    task = (await log.load(task.task_id))[0] or task
    assert [video.file_id for video in task.videos] == list(emulator.media)
    assert len(emulator.media) == 1
    assert len(emulator.called("ApplyUpload")) == 1


async def test_no_second_media_file_is_risked(desk: Desk, emulator: VodEmulator) -> None:
    emulator.repeats_commits = False
    emulator.fail("CommitUpload", Fault(code="InternalError", done=True))
    task = await desk.task({"mp4": [b"index", b"media"]})
    why = rf"{NO_SESSION}.*RequestId.*after InternalError.*RequestId.*SourceContext is {task.task_id}"
    for _ in range(2):
        with pytest.raises(Permanent, match=why):
            await desk.publish(task)
        why = f"{NO_SESSION}.*SourceContext is {task.task_id}"
    assert len(emulator.media) == 1
    assert len(emulator.called("ApplyUpload")) == 1
    assert desk.blobs.read(task.outputs[0].blob_key or "") == b"index"


async def test_the_first_result_is_safe_when_the_second_fails(desk: Desk, emulator: VodEmulator) -> None:
    emulator.repeats_commits = False
    task = await desk.task({"mp4": [b"index", b"media"], "hls": [b"segment"]})
    emulator.fail("ApplyUpload", Fault(done=True))
    emulator.fail("ApplyUpload", SILENT, 5)
    with pytest.raises(Transient):
        await desk.publish(task)
    assert await desk.publish(task) == list(emulator.media)
    assert len(emulator.media) == 2


@pytest.mark.parametrize(("lasts_s", "error"), [([60], None), ([60, 599], None), ([60] * 3, Transient)])
async def test_short_credentials_are_not_used(
    desk: Desk, emulator: VodEmulator, lasts_s: list[int], error: type[Exception] | None
) -> None:
    emulator.certificate_s.extend(lasts_s)
    task = await desk.task({"hls": [b"segment"]})
    if error:
        with pytest.raises(error, match="temporary keys are good for less than 600 s"):
            await desk.publish(task)
    assert await desk.publish(task) == list(emulator.media)
    assert len(emulator.called("ApplyUpload")) == len(lasts_s) + 1


async def test_the_bucket_may_fail_and_may_refuse(desk: Desk, emulator: VodEmulator) -> None:
    task = await desk.task({"mp4": [b"index", 5 * MIB * b"0", b"media"], "hls": [b"segment"]})
    emulator.door.refusal = "AccessDenied"
    with pytest.raises(Permanent, match="VOD: AccessDenied: said COS"):
        await desk.publish(task)
    emulator.door.refusal = None
    emulator.door.failures = 2
    assert await desk.publish(task) == list(emulator.media)


async def test_media_that_is_damaged_or_away(desk: Desk, emulator: VodEmulator) -> None:
    task = await desk.task({"hls": [b"first", b"second"]})
    key = output_key(task.task_id, "hls/1")
    desk.blobs.put_bytes(b"other", key)
    with pytest.raises(Permanent, match=f"{key} is damaged"):
        await desk.publish(task)
    desk.blobs.delete_prefix(outputs_prefix(task.task_id))
    with pytest.raises(Transient, match=output_key(task.task_id, "hls/")):
        await desk.publish(task)
    assert emulator.media == {}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"vod_secret_id": None},
            Permanent,
            "PANOREEL_VOD_SECRET_ID and .* are not set",
        ),
        ({"vod_secret_id": "AKIDother"}, Permanent, "AuthFailure.SecretIdNotFound"),
        ({"vod_secret_key": "wrong"}, Permanent, "AuthFailure.SignatureFailure"),
        ({"vod_secret_key": "padded "}, Permanent, "InvalidCredential"),
        ({"vod_endpoint": "http://127.0.0.1:9"}, Transient, "ClientNetworkError"),
        ({"vod_s3_endpoint": "http://127.0.0.1:9"}, Transient, "the object store does not answer"),
    ],
)
async def test_settings_that_do_not_work(
    desk: Desk, changes: dict[str, str | None], error: type[Exception], words: str
) -> None:
    task = await desk.task({"mp4": [b"index", b"media"]})
    desk.settings = UploaderSettings(**(desk.settings.model_dump() | changes))
    with pytest.raises(error, match=words) as raised:
        await desk.publish(task)
    assert "padded" not in str(raised.value)


def test_a_number_as_an_id_keeps_its_digits() -> None:
    """As the sample in the description of CommitUpload has it."""
    media = Media.model_validate_json('{"FileId": 5285890784246869931, "MediaUrl": "http://a/b"}')
    assert media.file_id == "5285890784246869931"
