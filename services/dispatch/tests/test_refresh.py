"""Another page in the same recording, and what the detail tells of a task on its way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet

from panoreel.contracts import commands, events
from panoreel.contracts.envelope import Cause
from panoreel.contracts.quality import Quality
from panoreel.dispatch.actions.calls import Call, Caller
from panoreel.dispatch.actions.controlling import Controlling
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.beijing import show
from panoreel.dispatch.database import connect
from panoreel.dispatch.projection import Projection
from panoreel.dispatch.projector import Projector
from panoreel.dispatch.readmodel import open_read_model
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.eventlog.topology import SECRETS
from tests.servers.dispatch import URL, Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

CAUSE = Cause("test")
BEGIN = datetime.now(UTC)
STUDENTS = "http://127.0.0.1:1/students?token=hunter3"
GAP = events.Gap(output_s=5.5, lost_s=1.5, wall_time=BEGIN)
OUTPUT = events.Output(blob_key="t/out.mp4", bytes=100, sha256="a" * 64, duration_s=9.4, frames=280)
QUALITY = Quality(
    recorded_s=10,
    frames_captured=10,
    frames_encoded=9,
    frames_dropped=2,
    frames_repeated=1,
    skew_p50_ms=-1.5,
    skew_p95_ms=4,
    gaps=1,
    gap_s=2.5,
    cores=0.5,
    preset_steps=3,
    silence_s=3.5,
    black_s=0.5,
)
VIDEO = events.Video(filename="out.mp4", bytes=100, duration_s=9.4, url="http://b/out.mp4")


@pytest.fixture(scope="module")
def dispatch(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    postgres_server.execute("CREATE DATABASE test_refresh")
    directory = tmp_path_factory.mktemp("refresh")
    dsn = postgres_server.dsn("test_refresh")
    running = run_dispatch(module_nats_server.url, dsn, directory, Fernet.generate_key().decode())
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0
    log = running.log.read_text()
    assert "Traceback" not in log
    assert "hunter" not in log


@pytest.fixture
async def log(module_nats_server: NatsServer) -> AsyncIterator[EventLog]:
    async with open_log(module_nats_server.url, "test") as log:
        yield log


async def recorded(dispatch: Dispatch, log: EventLog, **data: Any) -> str:
    """A task that is being recorded."""
    task_id = dispatch.start(**data)
    await report(dispatch, log, task_id, commands.Claim("r-1"), commands.ReportStarted(1, BEGIN))
    return task_id


async def report(dispatch: Dispatch, log: EventLog, task_id: str, *reports: commands.Command) -> None:
    """Append what other services would, and wait until it can be read."""
    seq = 0
    for command in reports:
        seq = (await log.execute(task_id, command, CAUSE)).seq
    for _ in range(100):
        history = httpx.get(f"{dispatch.url}/tasks/{task_id}/events").json()["Events"]
        if history[-1]["Seq"] >= seq:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it is not projected")


async def sealed(log: EventLog, task_id: str) -> set[str]:
    # The client's own list of keys is now and then empty.
    info = await log.js.stream_info(f"KV_{SECRETS}", subjects_filter=f"$KV.{SECRETS}.>")
    keys = {subject.removeprefix(f"$KV.{SECRETS}.") for subject in info.state.subjects or {}}
    return {key for key in keys if key.partition(".")[0] == task_id}


async def secrets_of(dispatch: Dispatch, log: EventLog, task_id: str) -> TaskSecrets:
    task, _ = await log.load(task_id)
    assert task is not None
    return await SecretStore(log, [dispatch.key]).unseal(task.secrets_key)


@pytest.mark.parametrize("paused", [False, True])
async def test_another_page_takes_the_first_ones_place(
    dispatch: Dispatch, log: EventLog, paused: bool
) -> None:
    browser = {"Cookies": [{"Name": "session", "Value": "hunter2", "Domain": "127.0.0.1"}]}
    task_id = await recorded(dispatch, log, Browser=browser, CallbackURL="http://127.0.0.1:1/done")
    if paused:
        dispatch.act("Pause", TaskID=task_id)
    before = await secrets_of(dispatch, log, task_id)
    assert before.browser.cookies[0].value == "hunter2"
    assert dispatch.act("Refresh", TaskID=task_id, RecordURL=STUDENTS) == {"TaskID": task_id}
    history = [stored async for stored in log.history(task_id)]
    requested = history[-1].event
    assert isinstance(requested, events.RefreshRequested)
    assert requested.record_url == "http://127.0.0.1:1/students"
    store = SecretStore(log, [dispatch.key])
    assert await store.unseal(requested.secrets_key or "") == TaskSecrets(record_url=STUDENTS)
    assert await secrets_of(dispatch, log, task_id) == before
    shown = [dispatch.act("DescribeDetail", TaskID=task_id)["Param"]["RecordURL"]]
    await report(dispatch, log, task_id, commands.ReportRefreshed(1))
    shown.append(dispatch.act("DescribeDetail", TaskID=task_id)["Param"]["RecordURL"])
    assert shown == ["http://127.0.0.1:1/class", "http://127.0.0.1:1/students"]
    assert b"hunter" not in b"".join(stored.payload for stored in history)
    connection = await asyncpg.connect(dispatch.dsn)
    rows = str(await connection.fetch("SELECT * FROM tasks")) + str(
        await connection.fetch("SELECT * FROM events")
    )
    await connection.close()
    assert "hunter" not in rows


@pytest.mark.parametrize("ended", [False, True])
async def test_nothing_is_sealed_for_what_is_not_recorded(
    dispatch: Dispatch, log: EventLog, ended: bool
) -> None:
    task_id = await recorded(dispatch, log) if ended else dispatch.start()
    if ended:
        dispatch.act("Stop", TaskID=task_id)
    before = await sealed(log, task_id), dispatch.act("DescribeDetail", TaskID=task_id)
    assert dispatch.act("Refresh", TaskID=task_id, RecordURL=STUDENTS) == {"TaskID": task_id}
    assert (await sealed(log, task_id), dispatch.act("DescribeDetail", TaskID=task_id)) == before


class EndsMeanwhile(SecretStore):
    """Somebody stops the task just after another page was sealed for it."""

    async def seal(self, key: str, secrets: TaskSecrets) -> None:
        await super().seal(key, secrets)
        await self._log.execute(key.partition(".")[0], commands.Stop("api"), CAUSE)


async def test_nothing_is_left_sealed_when_it_ends_meanwhile(dispatch: Dispatch, log: EventLog) -> None:
    task_id = await recorded(dispatch, log)
    before = await sealed(log, task_id)
    async with open_read_model(dispatch.dsn) as read_model, connect(dispatch.dsn) as engine:
        tasks = Tasks(log, read_model, Projection(dispatch.dsn), Projector(log, engine))
        secrets = EndsMeanwhile(log, [dispatch.key])
        controlling = Controlling(tasks, secrets, (ip_network("127.0.0.0/8"),))
        call = Call({"TaskID": task_id, "RecordURL": STUDENTS}, Caller(), "test")
        assert await controlling.refresh(call) == {"TaskID": task_id}
    assert await sealed(log, task_id) == before
    assert (await secrets_of(dispatch, log, task_id)).record_url == URL


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("file:///etc/passwd", "RecordURL must be an absolute http or https URL"),
        ("", "RecordURL must be an absolute http or https URL"),
        (7, "RecordURL must be a string"),
        ("http://192.168.0.1/", "RecordURL must lead to a public address"),
    ],
)
async def test_a_page_that_may_not_be_recorded(
    dispatch: Dispatch, log: EventLog, url: object, sentence: str
) -> None:
    task_id = await recorded(dispatch, log)
    before = await sealed(log, task_id)
    answer = dispatch.act("Refresh", TaskID=task_id, RecordURL=url)
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"].startswith(sentence)
    assert await sealed(log, task_id) == before


async def test_the_detail_tells_everything(dispatch: Dispatch, log: EventLog) -> None:
    cos = {
        "TargetDir": "11234/",
        "TargetName": "a.mp4",
        "Bucket": "videos",
        "Region": "ap-x",
        "Domain": "d.com",
    }
    chosen = {
        "Priority": "high",
        "QueueTimeout": 60,
        "OnError": "fail",
        "OnBlank": "reload",
        "BlankTimeout": 2.5,
    }
    video = {"Fps": 10, "KeyframeInterval": 4, "AudioBitrate": 64_000}
    task_id = await recorded(
        dispatch,
        log,
        Width=641,
        Height=481,
        MaxDurationLimit=7200,
        PageTitle="课",
        Output={"Cos": cos, "Video": {"Crf": 30} | video},
        **chosen,
    )
    await report(
        dispatch,
        log,
        task_id,
        commands.ReportMeasured(1, QUALITY),
        commands.ReportLost(1, 3, "gone"),
        commands.Claim("r-2"),
        commands.ReportStarted(2, BEGIN + timedelta(seconds=20)),
    )
    detail = dispatch.act("DescribeDetail", TaskID=task_id)
    assert detail["Recorder"] == "r-2"
    assert detail["Epochs"] == [{"Epoch": 1, "LastSegment": 3}, {"Epoch": 2, "LastSegment": None}]
    dispatch.act("Stop", TaskID=task_id)
    packaged = events.OutputsPackaged(outputs=(OUTPUT,), gaps=(GAP,))
    await report(
        dispatch,
        log,
        task_id,
        commands.ReportMeasured(
            2, QUALITY.model_copy(update={"recorded_s": 30, "skew_p95_ms": 8, "cores": 1})
        ),
        commands.ReportStopped(2, 7, 200),
        commands.ReportPackaged(packaged),
    )
    uploaded = events.OutputsUploaded(videos=(VIDEO,))
    await log.execute(task_id, commands.ReportUploaded(uploaded), CAUSE)
    failed = events.CallbackFailed(attempts=5, last_error="HTTP 500")
    await report(dispatch, log, task_id, commands.ReportCallback(failed))

    detail = dispatch.act("DescribeDetail", TaskID=task_id)
    [listed] = [
        task for task in dispatch.act("List", Status="finished")["Tasks"] if task["TaskID"] == task_id
    ]
    assert listed == detail
    times = {name: detail.pop(name) for name in list(detail) if name.endswith("Time")}
    assert times["StartTime"] == show(BEGIN), "the first epoch's"
    assert sorted(times.values()) == [
        times[f"{name}Time"] for name in ("Start", "Create", "Cancel", "Stop", "Finish")
    ]
    assert detail == {
        "TaskID": task_id,
        "Application": "",
        "Status": "finished",
        "StopReason": "api",
        "RetryNum": 1,
        "StorageType": "cfs",
        "Param": {
            "RecordURL": "http://127.0.0.1:1/class",
            "CallbackURL": None,
            "ManualStart": False,
            "Width": 641,
            "Height": 481,
            "MaxDurationLimit": 7200,
            "PageTitle": "课",
            **chosen,
            "Output": {
                "Cos": cos,
                "Vod": None,
                "Video": {
                    "Muxer": "mp4",
                    "Muxers": ["mp4"],
                    "EncryptIv": None,
                    "AuthUrl": None,
                    "Crf": 30,
                    "Bitrate": None,
                    "AudioOnly": False,
                    "VideoOnly": False,
                }
                | video,
                "Thumbnails": None,
            },
        },
        "Clip": None,
        "Recorder": None,
        "Epochs": [{"Epoch": 1, "LastSegment": 3}, {"Epoch": 2, "LastSegment": 7}],
        "Gaps": [{"OutputTime": 5.5, "LostTime": 1.5, "WallTime": show(BEGIN)}],
        "Outputs": [
            {
                "Kind": "mp4",
                "BlobKey": "t/out.mp4",
                "FileSize": 100,
                "Sha256": "a" * 64,
                "Duration": 9.4,
                "Frames": 280,
                "Pieces": 0,
            }
        ],
        "Result": {
            "ErrorCode": "CallbackFailed",
            "ErrorMessage": "Callback failed even after all tries. last error message:HTTP 500",
            "Videos": [
                {
                    "Filename": "out.mp4",
                    "FileURL": "http://b/out.mp4",
                    "FileSize": 100,
                    "FileDuration": 9,
                    "FileId": None,
                }
            ],
            "Files": [],
            "Quality": {
                "RecordedTime": 40,
                "FramesCaptured": 20,
                "FramesEncoded": 18,
                "FramesDropped": 4,
                "FramesRepeated": 2,
                "SkewP50": -1.5,
                "SkewP95": 8,
                "Gaps": 2,
                "GapTime": 5,
                "Cores": 0.875,
                "PresetSteps": 6,
                "SilenceTime": 7,
                "BlackTime": 1,
            },
        },
    }


async def test_a_forced_stop(dispatch: Dispatch, log: EventLog) -> None:
    task_id = await recorded(dispatch, log)
    assert dispatch.act("ForceStop", TaskID=task_id) == {"TaskID": task_id}
    last = [stored.event async for stored in log.history(task_id)][-1]
    assert last == events.StopRequested(reason="api", force=True)
    await report(dispatch, log, task_id, commands.ReportStopped(1, 0, 1))
    answer = dispatch.act("ForceStop", TaskID=task_id)
    assert answer["ErrorCode"] == "InternalError"
    assert answer["ErrorMessage"].endswith("its status does not go back from transcode")
