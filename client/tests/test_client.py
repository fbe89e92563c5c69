"""Both clients against a dispatch that demands signatures, and against what may stand in front of one."""

import inspect
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from client.tests.gateway import LOST, Reply, gateway
from panoreel.client import (
    AsyncPanoreel,
    Browser,
    ClipRequest,
    Cookie,
    DownloadFailed,
    InternalError,
    InvalidParam,
    InvalidStatus,
    MediaInfo,
    Output,
    Panoreel,
    PanoreelError,
    Range,
    RateLimited,
    StartRequest,
    Thumbnails,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    Video,
    VideoOutput,
    VodOutput,
)
from panoreel.client.downloads import check_target
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import CallbackSkipped, OutputsPackaged, OutputsUploaded
from panoreel.contracts.identifiers import scoped
from panoreel.eventlog.log import open_log
from tests.servers.dispatch import URL, Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

SECRETS = {"school": "s" * 40, "other": "t" * 40}

Client = Panoreel | AsyncPanoreel


@pytest.fixture(scope="module")
def dispatch(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    postgres_server.execute("CREATE DATABASE client")
    directory = tmp_path_factory.mktemp("dispatch")
    key_file = directory / "keys.json"
    entries = [{"id": name, "secrets": [secret], "application": name} for name, secret in SECRETS.items()]
    key_file.write_text(json.dumps({"keys": entries}))
    key_file.chmod(0o600)
    running = run_dispatch(
        module_nats_server.url,
        postgres_server.dsn("client"),
        directory,
        Fernet.generate_key().decode(),
        PANOREEL_KEY_FILE=str(key_file),
    )
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0


@pytest.fixture(params=[Panoreel, AsyncPanoreel])
def kind(request: pytest.FixtureRequest) -> type[Client]:
    kind: type[Client] = request.param
    return kind


async def result(answer: Any) -> Any:
    """The answer of either client."""
    return await answer if inspect.isawaitable(answer) else answer


async def close(client: Client) -> None:
    await result(client.close())


async def test_the_life_of_a_recording(
    kind: type[Client], dispatch: Dispatch, module_nats_server: NatsServer
) -> None:
    client = kind(dispatch.url, "school", SECRETS["school"])
    began = datetime.now(UTC) - timedelta(seconds=2)
    request = StartRequest(record_url=URL, width=641, page_title="课堂", task_id=uuid4().hex)
    task_id = await result(client.start(request))
    assert await result(client.start(request)) == task_id, "the same recording"

    described = await result(client.describe(task_id))
    assert (described.status, described.videos, described.start_time) == ("normal", (), None)
    assert began < described.create_time < began + timedelta(seconds=60)
    await result(client.pause(task_id))
    assert (await result(client.wait(task_id, until="paused", timeout_s=30))).status == "paused"
    await result(client.resume(task_id))
    await result(client.refresh(task_id, "http://127.0.0.1:1/other"))
    detail = await result(client.describe_detail(task_id))
    assert detail.param["PageTitle"] == "课堂"
    assert detail.param["Width"] == 641
    assert detail.create_time == described.create_time, "one as words in Shanghai, one as a number"

    await result(client.stop(task_id))
    with pytest.raises(InvalidStatus):
        await result(client.pause(task_id))
    with pytest.raises(InternalError):
        await result(client.force_stop(task_id))
    listed = await result(client.list("running", start_time=began, limit=1))
    assert listed.total >= 1
    assert listed.tasks[0].task_id == task_id
    assert (await result(client.list(end_time=began - timedelta(days=1)))).total == 0
    with pytest.raises(TimedOut, match="status is transcode"):
        await result(client.wait(task_id, timeout_s=0.2))
    assert await watched(client, task_id, lambda: finish(module_nats_server.url, task_id)) == [
        "transcode",
        "finished",
    ]
    history = await result(client.events(task_id))
    assert history[0].type == "task_created"
    assert history[-1].type == "callback_skipped"
    await close(client)


async def watched(client: Client, task_id: str, then: Callable[[], Awaitable[None]]) -> list[str]:
    """The statuses that a watcher is told, `then` being done after the first one."""
    told: list[str] = []
    if isinstance(client, Panoreel):
        for recording in client.watch(task_id):
            told.append(recording.status)
            if len(told) == 1:
                await then()
    else:
        async for recording in client.watch(task_id):
            told.append(recording.status)
            if len(told) == 1:
                await then()
    return told


async def finish(nats_url: str, task_id: str) -> None:
    """Do what the other services would."""
    async with open_log(nats_url, "test") as log:
        for command in (
            commands.ReportPackaged(OutputsPackaged(outputs=())),
            commands.ReportUploaded(OutputsUploaded(videos=())),
            commands.ReportCallback(CallbackSkipped()),
        ):
            await log.execute(scoped("school", task_id), command, Cause("test"))


async def test_what_is_refused(kind: type[Client], dispatch: Dispatch) -> None:
    client = kind(dispatch.url, "school", SECRETS["school"])
    task_id = await result(client.start(URL))
    for call, sentence in (
        (lambda: client.describe("none"), "task not found"),
        (lambda: client.events("no/../thing"), "thing"),
        (lambda: client.start(StartRequest(record_url=URL, width=3000)), "Width must be in range"),
        (lambda: client.act("Dance", {}), "unknown action"),
    ):
        with pytest.raises(InvalidParam, match=sentence):
            await result(call())
    with pytest.raises(ValueError, match="StartTime needs a time zone"):
        await result(client.list(start_time=datetime.now()))
    await close(client)

    other = kind(dispatch.url, "other", SECRETS["other"])
    with pytest.raises(InvalidParam, match="task not found"):
        await result(other.stop(task_id))
    await close(other)
    for key, secret in (("school", "wrong"), ("unknown", "s"), (None, None)):
        stranger = kind(dispatch.url, key, secret)
        with pytest.raises(Unauthorized, match="HMAC") as refusal:
            await result(stranger.describe(task_id))
        assert str(refusal.value.request_id) in dispatch.log.read_text()
        await close(stranger)


@pytest.mark.parametrize(
    ("server", "key", "secret", "sentence"),
    [
        ("localhost:1", None, None, "absolute http or https"),
        ("http://user:pass@127.0.0.1:1", None, None, "must not have a user"),
        ("http://127.0.0.1:1", "key", None, "belong together"),
        ("http://127.0.0.1:1", "键", "secret", "letters that no key has"),
    ],
)
def test_a_server_or_a_key_without_sense(
    kind: type[Client], server: str, key: str | None, secret: str | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        kind(server, key, secret)


async def test_nobody_there(kind: type[Client]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = kind(f"http://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match="does not answer") as error:
        await result(client.refresh("x"))
    assert not error.value.sent
    await close(client)


@pytest.mark.parametrize(
    ("reply", "error", "sentence"),
    [
        (Reply(429, b'{"message": "slower"}', {"Retry-After": "7"}), RateLimited, "slower"),
        (Reply(403, b'{"message": "no"}'), Unauthorized, "no"),
        (Reply(413, b'{"message": "too long"}'), InvalidParam, "too long"),
        (Reply(500, b"{}"), InternalError, "HTTP 500"),
        (Reply(503, b'{"message": "later"}'), Unreachable, "cannot answer now: later"),
        (Reply(502, b"<html>"), Unreachable, "cannot answer now: Bad Gateway"),
        (Reply(404, b"<html>"), UnexpectedAnswer, "not answer as a Panoreel API does: HTTP 404"),
        (Reply(301, b"", {"Location": "/x"}), UnexpectedAnswer, "HTTP 301"),
        (Reply(200, b"[]"), UnexpectedAnswer, "not answer as a Panoreel"),
        (Reply(200, b'{"TaskID": "x", "Status": "dancing"}'), UnexpectedAnswer, "not answer as a Panoreel"),
        (Reply(200, b'{"ErrorCode": "New", "ErrorMessage": "m"}'), PanoreelError, "m"),
    ],
)
async def test_other_answers(
    kind: type[Client], reply: Reply, error: type[PanoreelError], sentence: str
) -> None:
    with gateway(reply) as server:
        client = kind(server.url)
        with pytest.raises(error, match=sentence) as told:
            await result(client.describe("x"))
        await close(client)
    if isinstance(told.value, RateLimited):
        assert told.value.retry_after_s == 7
    assert told.value.code == ("New" if error is PanoreelError else error.__name__)


async def test_an_answer_with_more_than_is_known(kind: type[Client]) -> None:
    body = {"TaskID": "x", "Status": "finished", "CreateTime": 1620982173, "New": 1, "RequestID": "r"}
    body["Result"] = {"Videos": [{"Filename": "a.mp4", "FileURL": "http://x/a.mp4", "FileId": "7"}]}
    with gateway(Reply(body=json.dumps(body).encode())) as server:
        client = kind(server.url)
        recording = await result(client.wait("x", timeout_s=30))
        await close(client)
    assert recording.create_time == datetime(2021, 5, 14, 8, 49, 33, tzinfo=UTC)
    assert recording.videos[0].file_id == "7"
    assert recording.model_extra == {"New": 1}
    assert recording.as_json()["CreateTime"] == 1620982173


async def test_what_may_be_sent_twice_is(kind: type[Client]) -> None:
    with gateway(LOST, Reply(502, b""), Reply(body=b'{"TaskID": "mine"}')) as server:
        client = kind(server.url)
        assert await result(client.start(URL)) == "mine"
        await close(client)
    assert len(server.requests) == 3
    [task_id] = {request["Data"]["TaskID"] for request in server.requests}
    assert len(task_id) == 36


@pytest.mark.parametrize("action", ["refresh", "force_stop"])
async def test_what_may_not_be_sent_twice_is_not(kind: type[Client], action: str) -> None:
    with gateway(LOST, Reply()) as server:
        client = kind(server.url)
        with pytest.raises(Unreachable) as error:
            await result(getattr(client, action)("x"))
        await close(client)
    assert error.value.sent
    assert len(server.requests) == 1


async def test_a_watcher_bears_an_api_that_is_away_for_a_while(kind: type[Client]) -> None:
    away = Reply(502, b"")
    trouble = Reply(body=b'{"ErrorCode": "InternalError", "ErrorMessage": "later"}')
    finished = Reply(body=b'{"TaskID": "x", "Status": "finished"}')
    with gateway(*[away] * 5, trouble, finished) as server:
        client = kind(server.url)
        assert (await result(client.wait("x", timeout_s=60))).status == "finished"
        await close(client)


async def test_a_watcher_that_asks_too_often_waits_as_it_is_told(kind: type[Client]) -> None:
    slower = Reply(429, b'{"message": "slower"}', {"Retry-After": "2"})
    finished = Reply(body=b'{"TaskID": "x", "Status": "finished"}')
    with gateway(slower, Reply(429, b"{}"), finished) as server:
        client = kind(server.url)
        began_s = time.monotonic()
        assert (await result(client.wait("x", timeout_s=20))).status == "finished"
        assert time.monotonic() - began_s >= 2.5
        await close(client)
    assert len(server.requests) == 3
    with gateway(slower) as server:
        client = kind(server.url)
        with pytest.raises(TimedOut):
            await result(client.wait("x", timeout_s=1))
        await close(client)


async def test_a_file_is_replaced_only_by_a_whole_one(kind: type[Client], tmp_path: Path) -> None:
    target = tmp_path / "recording.mp4"
    target.write_bytes(b"older")
    whole = b"x" * 1_000_000
    client = kind("http://127.0.0.1:1")
    seen: list[int] = []
    for reply in (Reply(body=whole[:400], length=1000), Reply(404), LOST):
        with gateway(reply) as server, pytest.raises(DownloadFailed, match=server.url):
            await result(client.download(Video(filename="a", file_url=f"{server.url}/a"), target))
        assert target.read_bytes() == b"older"
    with gateway(Reply(body=whole)) as server:
        video = Video(filename="a", file_url=f"{server.url}/a")
        await result(client.download(video, target, seen.append))
    await close(client)
    assert target.read_bytes() == whole
    assert seen[-1] == len(whole)
    assert list(tmp_path.iterdir()) == [target]


async def test_a_playlist_comes_after_its_segments(kind: type[Client], tmp_path: Path) -> None:
    target = tmp_path / "film.m3u8"
    playlist = b"#EXTM3U\n#EXTINF:6,\nf-00000.ts\n\n#EXTINF:2,\n%E8%AF%BE-1.ts\n#EXT-X-ENDLIST\n"
    client = kind("http://127.0.0.1:1")
    for replies in (
        (Reply(body=playlist), Reply(body=b"first"), Reply(404)),
        *((Reply(body=b"#EXTM3U\n" + name),) for name in (b"../x.ts", b"..", b"http://b/x.ts", b"film.m3u8")),
    ):
        with gateway(*replies) as server, pytest.raises(DownloadFailed, match=server.url):
            await result(client.download(Video(filename="f", file_url=f"{server.url}/f.m3u8?x=1"), target))
        assert not target.exists()
    seen: list[int] = []
    with gateway(Reply(body=playlist), Reply(body=b"first"), Reply(body=b"second")) as server:
        video = Video(filename="f", file_url=f"{server.url}/a/f.m3u8")
        await result(client.download(video, target, seen.append))
    await close(client)
    assert [request["path"] for request in server.requests] == [
        "/a/f.m3u8",
        "/a/f-00000.ts",
        "/a/%E8%AF%BE-1.ts",
    ]
    assert seen == [len(playlist), len(playlist) + 5, len(playlist) + 11]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "film.m3u8": playlist.replace(b"f-0", b"film-0"),
        "film-00000.ts": b"first",
        "%E8%AF%BE-1.ts": b"second",
    }


async def test_a_clip_may_be_asked_for_again(kind: type[Client]) -> None:
    request = ClipRequest(
        task_id="lesson", ranges=[Range(start_s=1.5, end_s=3)], callback_url="http://x/?hunter2"
    )
    assert "hunter2" not in repr(request)
    with gateway(LOST, Reply(body=b'{"TaskID": "new"}')) as server:
        client = kind(server.url)
        assert await result(client.clip(request)) == "new"
        await close(client)
    first, again = server.requests
    assert first == again
    assert first["Data"].pop("ClipID")
    assert first == {
        "Action": "Clip",
        "Data": {
            "TaskID": "lesson",
            "Ranges": [{"Start": 1.5, "End": 3.0}],
            "CallbackURL": "http://x/?hunter2",
        },
    }


def test_a_target_that_cannot_be_written_is_told_beforehand(tmp_path: Path) -> None:
    check_target(tmp_path / "new.mp4")
    for target in (tmp_path, tmp_path / "none" / "x.mp4", Path("/dev/null")):
        with pytest.raises(OSError):
            check_target(target)
    assert list(tmp_path.iterdir()) == []


def test_a_request_is_strict_and_keeps_its_secrets() -> None:
    request = StartRequest(
        record_url="https://example.com/?token=hunter2",
        max_duration_s=5,
        queue_timeout_s=60,
        blank_timeout_s=0.5,
        browser=Browser(
            cookies=[Cookie(name="id", value="hunter2", domain="example.com", http_only=True)],
            headers={"X-Key": "hunter2"},
            storage_state={"origins": ["hunter2"]},
        ),
        output=Output(
            vod=VodOutput(media_info=MediaInfo(expire_time=datetime(2026, 1, 1, tzinfo=UTC)), sub_app_id=1),
            video=VideoOutput(muxers=["mp4", "hls"], keyframe_interval_s=4, video_only=True),
            thumbnails=Thumbnails(interval_s=2.5, width=320),
        ),
    )
    assert request.data() == {
        "RecordURL": "https://example.com/?token=hunter2",
        "MaxDurationLimit": 5,
        "QueueTimeout": 60,
        "BlankTimeout": 0.5,
        "Browser": {
            "Cookies": [{"Name": "id", "Value": "hunter2", "Domain": "example.com", "HttpOnly": True}],
            "Headers": {"X-Key": "hunter2"},
            "StorageState": {"origins": ["hunter2"]},
        },
        "Output": {
            "Vod": {"MediaInfo": {"ExpireTime": "2026-01-01T00:00:00Z"}, "SubAppId": 1},
            "Video": {"Muxers": ["mp4", "hls"], "KeyframeInterval": 4, "VideoOnly": True},
            "Thumbnails": {"Interval": 2.5, "Width": 320},
        },
    }
    assert "hunter2" not in repr(request)
    for wrong in (
        {"Widht": "hunter2"},
        {"Width": "hunter2"},
        {"Browser": {"Cookies": [{"Name": "hunter2"}]}},
    ):
        with pytest.raises(ValueError) as error:
            StartRequest.model_validate({"RecordURL": "x"} | wrong)
        assert "hunter2" not in str(error.value)
