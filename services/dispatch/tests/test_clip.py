"""Clip: which recordings can be cut where, and what the new task is."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from contracts.tests.examples import BEGIN, segment
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import ClipCreated, ClipRange, ClipSource
from panoreel.eventlog import outputs
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.segments import announce
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

CALLBACK = "http://127.0.0.1:1/done?token=hunter2"
RANGES = [{"Start": 0.5, "End": 2}, {"Start": 3, "End": 3.75}]


@pytest.fixture(scope="module")
def dispatch(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    postgres_server.execute("CREATE DATABASE test_clip")
    directory = tmp_path_factory.mktemp("clip")
    dsn, key = postgres_server.dsn("test_clip"), Fernet.generate_key().decode()
    running = run_dispatch(module_nats_server.url, dsn, directory, key)
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
async def log(module_nats_server: NatsServer) -> AsyncIterator[EventLog]:
    async with open_log(module_nats_server.url, "test") as log:
        yield log


async def recording(dispatch: Dispatch, log: EventLog, segments: int = 2, **data: Any) -> str:
    """A recording that runs, of so many times three seconds."""
    task_id = dispatch.start(**data)
    for command in (commands.Claim("r"), commands.ReportStarted(1, BEGIN)):
        await log.execute(task_id, command, Cause("test"))
    for index in range(segments):
        await announce(log, segment(task_id, 1, index))
    return task_id


async def created(log: EventLog, task_id: str) -> list[ClipCreated]:
    events = [stored.event async for stored in log.history(task_id)]
    return [event for event in events if isinstance(event, ClipCreated)]


async def test_a_clip_is_a_task_of_its_own(dispatch: Dispatch, log: EventLog) -> None:
    source = await recording(dispatch, log, Width=641, Output={"Video": {"Fps": 15}})
    request = {
        "TaskID": source,
        "ClipID": "goal",
        "Ranges": RANGES,
        "CallbackURL": CALLBACK,
        "Output": {"Cos": {"TargetDir": "goals", "TargetName": "first"}},
    }
    for _ in range(2):
        assert dispatch.act("Clip", **request) == {"TaskID": "goal"}
    taken = dispatch.act("Clip", **request | {"Ranges": RANGES[:1]})
    assert taken["ErrorMessage"].startswith("ClipID goal is taken by a task with other parameters")
    taken = dispatch.act("Clip", **request | {"ClipID": source})
    assert taken["ErrorMessage"].startswith(f"ClipID {source} is taken by a task with other parameters")

    (event,) = await created(log, "goal")
    ranges = (ClipRange(start_s=0.5, end_s=2), ClipRange(start_s=3, end_s=3.75))
    assert event.clip == ClipSource(task_id=source, ranges=ranges)
    assert (event.encoder.width, event.encoder.fps, event.storage_type) == (641, 15, "cfs")
    assert (event.callback_url, event.output.target_name) == ("http://127.0.0.1:1/done", "first")
    secrets = await SecretStore(log, [dispatch.key]).unseal(event.secrets_key)
    assert secrets.callback_url == CALLBACK

    described = dispatch.act("Describe", TaskID="goal")
    assert (described["Status"], described["StorageType"]) == ("transcode", "cfs")
    detail = dispatch.act("DescribeDetail", TaskID="goal")
    assert detail["Clip"] == {"TaskID": source, "Ranges": RANGES}
    assert detail["Param"]["Output"]["Cos"]["TargetDir"] == "goals"
    assert dispatch.act("List", Status="running")["Tasks"][0] == detail
    history = httpx.get(f"{dispatch.url}/tasks/goal/events").text
    assert "clip_created" in history
    assert "hunter2" not in history + str(detail)
    for action, code in (
        ("Pause", "InvalidStatus"),
        ("Resume", "InvalidStatus"),
        ("Refresh", None),
        ("Stop", None),
        ("ForceStop", "InternalError"),
    ):
        assert dispatch.act(action, TaskID="goal").get("ErrorCode") == code
    assert dispatch.act("Describe", TaskID="goal") == described
    refused = dispatch.act("Clip", TaskID="goal", Ranges=RANGES)
    assert refused["ErrorMessage"] == f"TaskID goal is a clip itself; cut from {source} instead"


async def test_ranges_end_with_what_is_recorded(dispatch: Dispatch, log: EventLog) -> None:
    task_id = await recording(dispatch, log, segments=3)

    def cut(end_s: float) -> str | None:
        ranges = [{"Start": 0, "End": 0.1}, {"Start": 1, "End": end_s}]
        message: str | None = dispatch.act("Clip", TaskID=task_id, Ranges=ranges).get("ErrorMessage")
        return message

    assert cut(9) is None
    assert cut(9.001) == "Ranges[1].End must not be after 9.0, the seconds recorded so far"
    await announce(log, segment(task_id, 1, 3))
    assert cut(12) is None
    # Another recorder had taken over after the first three seconds: what came later does not count.
    await announce(log, segment(task_id, 2, 0))
    assert cut(6) is None
    assert cut(6.5) == "Ranges[1].End must not be after 6.0, the seconds recorded so far"


async def test_where_nothing_can_be_cut(dispatch: Dispatch, log: EventLog) -> None:
    waiting = dispatch.start()
    empty = dispatch.start()
    dispatch.act("Stop", TaskID=empty)
    removed = await recording(dispatch, log)
    dispatch.act("Stop", TaskID=removed)
    await log.execute(removed, commands.ReportStopped(1, 1, 120), Cause("test"))
    await outputs.purge(log, removed)
    cut: dict[str, Any] = {"Ranges": RANGES}
    again = cut | {"TaskID": removed}
    rows: tuple[tuple[dict[str, Any], str], ...] = (
        (cut | {"TaskID": "none"}, "invalid task id, task not found"),
        (cut | {"TaskID": waiting}, f"TaskID {waiting} has recorded nothing yet; try again"),
        (cut | {"TaskID": empty}, f"TaskID {empty} has ended without any media"),
        (again, f"TaskID {removed} has no media any more: it is removed some time after"),
        (again | {"Output": {"Cos": {"TargetDir": "../x"}}}, "Output.Cos.TargetDir must not contain"),
        (again | {"Output": {"Vod": {}}}, "Output.Vod is not configured here"),
        (again | {"CallbackURL": "http://10.0.0.1/"}, "CallbackURL must lead to a public address"),
        (cut, "TaskID missing"),
    )
    for data, sentence in rows:
        answer = dispatch.act("Clip", **data)
        assert answer["ErrorCode"] == "InvalidParam"
        assert answer["ErrorMessage"].startswith(sentence), answer
