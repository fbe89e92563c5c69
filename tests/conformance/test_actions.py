"""Which action is allowed when, and what it does: the API descriptions, and how their system behaved.

Documents 1219/66139 of Tencent Cloud, in both languages, are the descriptions. Each row is one rule.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from panoreel.contracts import commands, events
from panoreel.contracts.commands import Command
from tests.conformance.conftest import ADMIN, OTHER_SCHOOL, SCHOOL, Api

FAILURE = events.Failure(code="InternalErr", message="it broke")
VIDEO = events.Video(filename="1.mp4", bytes=169780, duration_s=9.4, url="http://b/1.mp4")

CLAIM: tuple[Command, ...] = (commands.Claim("r"),)
STARTED: tuple[Command, ...] = (*CLAIM, commands.ReportStarted(1, datetime.now(UTC)))
STOPPED = commands.ReportStopped(1, 0, 1)
PACKAGED = commands.ReportPackaged(events.OutputsPackaged(outputs=()))
UPLOADED = commands.ReportUploaded(events.OutputsUploaded(videos=(VIDEO,)))
STOP = commands.Stop("api")

IN_STATUS: dict[str, tuple[Command, ...]] = {
    "normal": (),
    "recording": STARTED,
    "paused": (*STARTED, commands.Pause()),
    "canceled": (*STARTED, STOP),
    "forced": (*STARTED, STOP, commands.ForceStop()),
    "transcode": (*STARTED, STOP, STOPPED),
    "upload": (*STARTED, STOP, STOPPED, PACKAGED),
    "callback": (*STARTED, STOP, STOPPED, PACKAGED, UPLOADED),
    "finished": (
        *STARTED,
        STOP,
        STOPPED,
        PACKAGED,
        UPLOADED,
        commands.ReportCallback(events.CallbackSkipped()),
    ),
}
RUNNING = ("normal", "recording", "paused")
LATER = ("canceled", "transcode", "upload", "callback", "finished")


@dataclass(frozen=True)
class Row:
    """In `status`, `action` answers `error` or succeeds, and leaves the task in `then` with `events` more."""

    action: str
    status: str
    then: str
    events: tuple[str, ...] = ()
    error: tuple[str, str] | None = None
    data: dict[str, Any] = field(default_factory=dict)


def _refused(action: str, status: str) -> tuple[str, str]:
    return "InvalidStatus", f"can't {action.lower()} a task in status {status}"


STOPPING = ("stop_requested",)
ROWS = [
    # In normal, recording and paused, Stop and Cancel end the task; later they succeed without effect.
    *(Row(stop, "normal", "transcode", (*STOPPING, "recording_stopped")) for stop in ("Stop", "Cancel")),
    *(
        Row(stop, status, "canceled", STOPPING)
        for stop in ("Stop", "Cancel")
        for status in ("recording", "paused")
    ),
    *(Row(stop, status, status) for stop in ("Stop", "Cancel") for status in LATER),
    # Pause is allowed in normal, recording and paused; what is paused stays so without effect.
    Row("Pause", "normal", "paused", ("pause_requested",)),
    Row("Pause", "recording", "paused", ("pause_requested",)),
    Row("Pause", "paused", "paused"),
    *(Row("Pause", status, status, error=_refused("Pause", status)) for status in LATER),
    # Resume is allowed in recording and paused, not in normal.
    Row("Resume", "recording", "recording"),
    Row("Resume", "paused", "recording", ("resume_requested",)),
    *(Row("Resume", status, status, error=_refused("Resume", status)) for status in ("normal", *LATER)),
    # Refresh signals in recording and paused, otherwise it succeeds without effect.
    Row("Refresh", "recording", "recording", ("refresh_requested",)),
    Row("Refresh", "paused", "paused", ("refresh_requested",)),
    *(Row("Refresh", status, status) for status in ("normal", *LATER)),
    # With a RecordURL it leads to another page; the same rules apply.
    *(
        Row("Refresh", status, status, expected, data={"RecordURL": "http://127.0.0.1:1/students"})
        for status, expected in (
            ("normal", ()),
            ("recording", ("refresh_requested",)),
            ("paused", ("refresh_requested",)),
            ("finished", ()),
        )
    ),
    # ForceStop cancels; a status that is past that does not go back.
    Row("ForceStop", "normal", "transcode", (*STOPPING, "recording_stopped")),
    Row("ForceStop", "recording", "canceled", STOPPING),
    Row("ForceStop", "paused", "canceled", STOPPING),
    Row("ForceStop", "canceled", "canceled", STOPPING),
    Row("ForceStop", "forced", "canceled"),
    *(
        Row(
            "ForceStop",
            status,
            status,
            error=(
                "InternalError",
                f"The task has been stopped already; its status does not go back from {status}",
            ),
        )
        for status in LATER[1:]
    ),
    # Describe and its detail answer in every status.
    *(
        Row(action, status, status)
        for action in ("Describe", "DescribeDetail")
        for status in (*RUNNING, *LATER)
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.action}-{row.status}")
def test_an_action_in_a_status(api: Api, row: Row) -> None:
    task_id = api.start()
    api.report(task_id, *IN_STATUS[row.status])
    before = api.events(task_id)
    answer = api.act(row.action, TaskID=task_id, **row.data)
    if row.error:
        assert (answer["ErrorCode"], answer["ErrorMessage"]) == row.error
    else:
        assert answer["TaskID"] == task_id
        assert "ErrorCode" not in answer
    described = api.act("Describe", TaskID=task_id)
    assert described["Status"] == row.then, "the answer to a command came before its effect could be read"
    assert tuple(api.events(task_id)[len(before) :]) == row.events


EVERY_ACTION = (
    "Stop",
    "Cancel",
    "Pause",
    "Resume",
    "Refresh",
    "ForceStop",
    "Describe",
    "DescribeDetail",
)


@pytest.mark.parametrize("action", EVERY_ACTION)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "TaskID missing"),
        ({"TaskID": "0f7d9522-a1a3-4517-b5ad-7a6ecaf9c419"}, "invalid task id, task not found"),
        ({"TaskID": ""}, "TaskID must consist of 1 to 64 letters, digits, '_' or '-'"),
        ({"TaskID": 7}, "TaskID must be a string"),
        ({"TaskID": "a.b"}, "TaskID must consist of 1 to 64 letters, digits, '_' or '-'"),
    ],
    ids=["missing", "unknown", "empty", "number", "malformed"],
)
def test_a_wrong_task_id(api: Api, action: str, data: dict[str, Any], message: str) -> None:
    assert api.act(action, **data) == {"ErrorCode": "InvalidParam", "ErrorMessage": message}


@pytest.mark.parametrize("action", EVERY_ACTION)
def test_another_applications_task_is_not_found(api: Api, action: str) -> None:
    task_id = api.start()
    answer = api.act(action, OTHER_SCHOOL, TaskID=task_id)
    assert answer == {"ErrorCode": "InvalidParam", "ErrorMessage": "invalid task id, task not found"}
    assert api.act("Describe", TaskID=task_id)["Status"] == "normal"
    if action != "Cancel":
        assert "ErrorCode" not in api.act("Describe", ADMIN, TaskID=task_id), "an admin key sees all"


def test_a_clip_belongs_to_whom_its_recording_does(api: Api) -> None:
    task_id = api.start()
    ranges = [{"Start": 0, "End": 0.5}]
    theirs = api.act("Clip", OTHER_SCHOOL, TaskID=task_id, Ranges=ranges)
    assert theirs == {"ErrorCode": "InvalidParam", "ErrorMessage": "invalid task id, task not found"}
    api.report(task_id, *IN_STATUS["recording"])
    api.announce(task_id)
    for credentials in (SCHOOL, ADMIN):
        answer = api.act("Clip", credentials, TaskID=task_id, Ranges=ranges)
        assert api.act("DescribeDetail", TaskID=answer["TaskID"])["Clip"] == {
            "TaskID": task_id,
            "Ranges": ranges,
        }


@pytest.mark.parametrize("action", ["Explode", "start", "RecordAction", ""])
def test_an_unknown_action(api: Api, action: str) -> None:
    answer = api.act(action)
    assert answer["ErrorCode"] == "InvalidParam"
    assert (
        answer["ErrorMessage"] == "Action missing"
        if not action
        else "unknown action" in answer["ErrorMessage"]
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"Start"',
        {"Data": {}},
        {"Action": 7, "Data": {}},
        {"Action": "Start"},
        {"Action": "Start", "Data": []},
        {"Action": "Start", "Data": None},
    ],
    ids=str,
)
def test_a_wrong_envelope(api: Api, body: object) -> None:
    response = api.post(body)
    assert response.status_code == 200
    answer = response.json()
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"]
    assert len(answer["RequestID"]) == 32


def test_a_tasks_public_fields(api: Api) -> None:
    """Times are Unix seconds; what is empty is left out; zero retries too."""
    task_id = api.start()
    described = api.act("Describe", TaskID=task_id)
    assert set(described) == {"TaskID", "Status", "CreateTime", "StorageType"}
    api.report(task_id, *IN_STATUS["finished"])
    described = api.act("Describe", TaskID=task_id)
    times = [described[f"{name}Time"] for name in ("Create", "Start", "Cancel", "Stop", "Finish")]
    assert all(isinstance(time, int) for time in times)
    assert described["Status"] == "finished"
    [video] = described["Result"]["Videos"]
    assert video == {
        "Filename": "1.mp4",
        "FileSize": 169780,
        "FileDuration": 9,
        "FileURL": "http://b/1.mp4",
    }


@pytest.mark.parametrize(
    ("failed", "code", "message"),
    [
        (commands.FailRecording(1, None, FAILURE), "InternalErr", "it broke"),
        (
            commands.ReportLost(1, None, "gone"),
            "InternalErr",
            "this task already exceed maxRetryNum; the last recorder was lost because: gone",
        ),
    ],
    ids=["failed", "21 recorders lost"],
)
def test_a_task_that_failed(api: Api, failed: Command, code: str, message: str) -> None:
    task_id = api.start()
    rounds: list[Command] = []
    if isinstance(failed, commands.ReportLost):
        for epoch in range(1, 21):
            rounds += [commands.Claim("r"), commands.ReportLost(epoch, None, "gone")]
        failed = commands.ReportLost(21, None, "gone")
    api.report(task_id, *rounds, *CLAIM, failed)
    pending = api.act("Describe", TaskID=task_id)
    assert pending["Status"] == "callback", "any stage may jump there"
    assert pending["Result"] == {"ErrorCode": code, "ErrorMessage": message}
    api.report(task_id, commands.ReportCallback(events.CallbackFailed(attempts=5, last_error="HTTP 500")))
    described = api.act("Describe", TaskID=task_id)
    assert described["Status"] == "finished"
    assert described["Result"] == {
        "ErrorCode": "CallbackFailed",
        "ErrorMessage": "Callback failed even after all tries. last error message:HTTP 500",
    }, "an earlier error is overwritten"
    assert "FinishTime" not in described, "nothing was stored"
    assert api.act("DescribeDetail", TaskID=task_id)["Status"] == "finished"


def test_the_detail_has_times_for_people(api: Api) -> None:
    task_id = api.start(RecordURL="http://127.0.0.1:1/class?token=hunter2")
    detail = api.act("DescribeDetail", TaskID=task_id)
    shown = datetime.strptime(f"{detail['CreateTime']}+0800", "%Y-%m-%d %H:%M:%S%z")
    assert abs((datetime.now(UTC) - shown).total_seconds()) < 60
    assert detail["Param"]["RecordURL"] == "http://127.0.0.1:1/class"
    assert "hunter2" not in str(detail)


class TestList:
    """`Status` is required; newest first, full detail, only the application's own."""

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({}, "Status"),
            ({"Status": "paused"}, "Status"),
            ({"Status": 1}, "Status"),
            ({"Status": "all", "StartTime": "2026-01-01"}, "StartTime"),
            ({"Status": "all", "EndTime": "2026-02-31 00:00:00"}, "EndTime"),
            ({"Status": "all", "EndTime": 5}, "EndTime"),
            ({"Status": "all", "Offset": -1}, "Offset"),
            ({"Status": "all", "Limit": 0}, "Limit"),
            ({"Status": "all", "Limit": 501}, "Limit"),
            ({"Status": "all", "Page": 1}, "Page"),
        ],
        ids=str,
    )
    def test_a_wrong_parameter(self, api: Api, data: dict[str, Any], field: str) -> None:
        answer = api.act("List", **data)
        assert answer["ErrorCode"] == "InvalidParam"
        assert answer["ErrorMessage"].startswith(field)

    def test_tasks_are_found_by_state_and_time_page_by_page(self, api: Api) -> None:
        ids = [api.start() for _ in range(5)]
        api.report(ids[0], *IN_STATUS["finished"])
        theirs = api.act("Start", OTHER_SCHOOL, RecordURL="http://127.0.0.1:1/")["TaskID"]
        everything = api.act("List", Status="all")
        found = [task["TaskID"] for task in everything["Tasks"]]
        assert found[:5] == ids[::-1]
        assert theirs not in found
        assert everything["Total"] >= 5
        assert ids[0] not in [task["TaskID"] for task in api.act("List", Status="running")["Tasks"]]
        finished = api.act("List", Status="finished")["Tasks"]
        assert finished[0]["TaskID"] == ids[0]
        assert {task["Status"] for task in finished} == {"finished"}
        page = api.act("List", Status="all", Offset=1, Limit=2)
        assert [task["TaskID"] for task in page["Tasks"]] == ids[3:1:-1]
        assert page["Total"] == everything["Total"]
        early = api.act("List", Status="all", EndTime="2020-01-01 00:00:00")
        assert early == {"Total": 0, "Tasks": []}
        late = api.act("List", Status="all", StartTime="2020-01-01 00:00:00", EndTime="2100-01-01 00:00:00")
        assert late["Total"] == everything["Total"]
        assert theirs in [task["TaskID"] for task in api.act("List", ADMIN, Status="all")["Tasks"]]


class TestIdempotency:
    """A `TaskID` that comes with Start is the new task's, and makes the request repeatable."""

    def test_the_same_request_again_has_the_same_answer(self, api: Api) -> None:
        data = {"TaskID": "lesson_1-a", "RecordURL": "http://127.0.0.1:1/1?token=a", "Width": 640}
        assert api.act("Start", **data) == {"TaskID": "lesson_1-a"}
        assert api.act("Start", **data) == {"TaskID": "lesson_1-a"}
        assert api.events("lesson_1-a") == ["task_created"]
        api.act("Stop", TaskID="lesson_1-a")
        assert api.act("Start", **data) == {"TaskID": "lesson_1-a"}, "also when it has ended"

    @pytest.mark.parametrize(
        "change",
        [
            {"Width": 641},
            {"RecordURL": "http://127.0.0.1:1/1?token=b"},
            {"CallbackURL": "http://127.0.0.1:2/"},
        ],
        ids=str,
    )
    def test_another_request_of_the_same_id_is_refused(self, api: Api, change: dict[str, Any]) -> None:
        data = {"TaskID": f"changed-{next(iter(change))}", "RecordURL": "http://127.0.0.1:1/1?token=a"}
        api.act("Start", **data)
        answer = api.act("Start", **(data | change))
        assert answer["ErrorCode"] == "InvalidParam"
        assert answer["ErrorMessage"].startswith("TaskID")

    def test_the_id_may_stand_in_the_envelope(self, api: Api) -> None:
        body = {"Action": "Start", "TaskID": "outside", "Data": {"RecordURL": "http://127.0.0.1:1/"}}
        assert api.post(body).json()["TaskID"] == "outside"
        assert api.act("Describe", TaskID="outside")["TaskID"] == "outside"

    def test_two_applications_may_use_the_same_id(self, api: Api) -> None:
        ours = {"TaskID": "common", "RecordURL": "http://127.0.0.1:1/ours"}
        theirs = {"TaskID": "common", "RecordURL": "http://127.0.0.1:1/theirs"}
        assert api.act("Start", **ours) == api.act("Start", OTHER_SCHOOL, **theirs) == {"TaskID": "common"}
        api.act("Stop", TaskID="common")
        assert api.act("Describe", OTHER_SCHOOL, TaskID="common")["Status"] == "normal"

    @pytest.mark.parametrize("task_id", ["", "a" * 65, "a.b", "a b", "课", 7, ["a"]], ids=repr)
    def test_a_malformed_id_is_refused(self, api: Api, task_id: object) -> None:
        answer = api.act("Start", TaskID=task_id, RecordURL="http://127.0.0.1:1/")
        assert answer["ErrorCode"] == "InvalidParam"
        assert answer["ErrorMessage"].startswith("TaskID")
