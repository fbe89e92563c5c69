"""Whose tasks a key sees and controls, over HTTP with signed requests."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet

from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import CallbackSkipped, OutputsPackaged, OutputsUploaded
from panoreel.contracts.identifiers import scoped
from panoreel.dispatch.beijing import show
from panoreel.dispatch.ratelimit import TokenBuckets
from panoreel.eventlog.log import open_log
from panoreel.signing.client import Credentials, Request, sign
from tests.servers.dispatch import URL, Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

NOT_FOUND = {"ErrorCode": "InvalidParam", "ErrorMessage": "invalid task id, task not found"}
ON_ONE_TASK = ("Pause", "Resume", "Refresh", "Stop", "Cancel", "ForceStop", "Describe", "DescribeDetail")


def credentials(key_id: str) -> Credentials:
    return Credentials(key_id, f"secret of {key_id}")


def entry(key_id: str, application: str, **more: object) -> dict[str, object]:
    return {"id": key_id, "secrets": [credentials(key_id).secret], "application": application} | more


KEYS = [
    entry("north", "north"),
    entry("south", "south"),
    entry("operator", "operators", admin=True),
    entry("north-too", "north"),
    entry("slow", "north", rate_limit=1),
]


class Keyed:
    """A dispatch that has keys, and one connection to it."""

    def __init__(self, dispatch: Dispatch, client: httpx.Client) -> None:
        self._url = dispatch.url
        self._client = client

    def post(self, caller: Credentials, body: object, **headers: str) -> httpx.Response:
        url = f"{self._url}/record"
        content = json.dumps(body).encode()
        headers = sign(caller, Request("POST", url, content, headers), datetime.now(UTC))
        return self._client.post(url, content=content, headers=headers)

    def act(self, key_id: str, action: str, /, **data: Any) -> dict[str, Any]:
        response = self.post(credentials(key_id), {"Action": action, "Data": data})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        answer.pop("RequestID")
        return answer

    def start(self, key_id: str, **data: Any) -> str:
        task_id: str = self.act(key_id, "Start", RecordURL=URL, **data)["TaskID"]
        return task_id

    def get(self, key_id: str, path: str) -> httpx.Response:
        url = f"{self._url}{path}"
        headers = sign(credentials(key_id), Request("GET", url), datetime.now(UTC))
        return self._client.get(url, headers=headers)


@contextmanager
def running_keyed(nats_url: str, dsn: str, directory: Path) -> Iterator[Keyed]:
    key_file = directory / "keys.json"
    key_file.write_text(json.dumps({"keys": KEYS}))
    key_file.chmod(0o600)
    key = Fernet.generate_key().decode()
    # With keys, the API may be reached from outside too.
    settings = {"PANOREEL_KEY_FILE": str(key_file), "PANOREEL_HOST": "0.0.0.0"}
    running = run_dispatch(nats_url, dsn, directory, key, **settings)
    with httpx.Client(timeout=30) as client:
        yield Keyed(running, client)
    running.process.terminate()
    assert running.process.wait(30) == 0


@pytest.fixture(scope="module")
def keyed(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Keyed]:
    postgres_server.execute("CREATE DATABASE keyed")
    directory = tmp_path_factory.mktemp("keyed")
    with running_keyed(module_nats_server.url, postgres_server.dsn("keyed"), directory) as keyed:
        yield keyed
    assert "Traceback" not in (directory / "dispatch.log").read_text()


@pytest.mark.parametrize("action", ON_ONE_TASK)
def test_another_applications_task_is_not_found(keyed: Keyed, action: str) -> None:
    task_id = keyed.start("north")
    for meant in (task_id, scoped("north", task_id)[:64]):
        assert keyed.act("south", action, TaskID=meant) == NOT_FOUND
    named = keyed.act("south", action, TaskID=task_id, Application="north")
    assert named["ErrorMessage"] == "Application is for an admin's key; leave it out"
    assert keyed.act("north-too", "Describe", TaskID=task_id)["Status"] == "normal", (
        "a key of the same application"
    )
    assert len(keyed.get("north", f"/tasks/{task_id}/events").json()["Events"]) == 1


def test_another_applications_events_are_not_found(keyed: Keyed) -> None:
    task_id = keyed.start("north")
    path = f"/tasks/{task_id}/events"
    assert keyed.get("south", path).status_code == 404
    assert keyed.get("south", f"{path}?application=north").status_code == 422
    for seen in (path, f"{path}?application=north"):
        assert [event["Type"] for event in keyed.get("operator", seen).json()["Events"]] == ["task_created"]
    assert keyed.get("operator", f"{path}?application=south").status_code == 404


@pytest.mark.parametrize("action", ON_ONE_TASK)
def test_an_admin_sees_and_controls_all(keyed: Keyed, action: str) -> None:
    task_id = keyed.start("north")
    keyed.act("north", "Pause", TaskID=task_id)
    assert keyed.act("operator", action, TaskID=task_id)["TaskID"] == task_id
    assert keyed.act("operator", action, TaskID=task_id, Application="south") == NOT_FOUND
    assert keyed.act("operator", action, TaskID=uuid4().hex) == NOT_FOUND


def test_an_admin_says_which_of_several_tasks_they_mean(keyed: Keyed) -> None:
    task_id = f"lesson-{uuid4().hex}"
    for key_id in ("north", "south"):
        keyed.start(key_id, TaskID=task_id)
    answer = keyed.act("operator", "Stop", TaskID=task_id)
    assert answer["ErrorMessage"].endswith("several others have one: name Application")
    assert keyed.act("operator", "Stop", TaskID=task_id, Application="south") == {"TaskID": task_id}
    assert keyed.act("north", "Describe", TaskID=task_id)["Status"] == "normal"
    assert keyed.act("south", "Describe", TaskID=task_id)["Status"] == "transcode"
    assert keyed.start("operator", TaskID=task_id) == task_id
    assert keyed.act("operator", "Describe", TaskID=task_id)["Status"] == "normal", "their own comes first"


def test_a_list_is_of_ones_own_tasks(keyed: Keyed) -> None:
    ours, theirs = keyed.start("north"), keyed.start("south")
    rows = [
        ("north", {}, {ours}, {theirs}),
        ("south", {}, {theirs}, {ours}),
        ("operator", {}, {ours, theirs}, set()),
        ("operator", {"Application": "north"}, {ours}, {theirs}),
        ("operator", {"Application": "nobody"}, set(), {ours, theirs}),
    ]
    for key_id, data, seen, unseen in rows:
        listed = {task["TaskID"] for task in keyed.act(key_id, "List", Status="all", **data)["Tasks"]}
        assert seen <= listed, (key_id, data)
        assert not unseen & listed, (key_id, data)
    assert keyed.act("north", "List", Status="all", Application="south")["ErrorCode"] == "InvalidParam"


async def test_a_list_is_selected_by_state_and_time(keyed: Keyed, module_nats_server: NatsServer) -> None:
    application = "operators"
    ids = [keyed.start("operator") for _ in range(4)]
    cause = Cause("test")
    keyed.act("operator", "Stop", TaskID=ids[0])
    async with open_log(module_nats_server.url, "test") as log:
        for report in (
            commands.ReportPackaged(OutputsPackaged(outputs=())),
            commands.ReportUploaded(OutputsUploaded(videos=())),
            commands.ReportCallback(CallbackSkipped()),
        ):
            await log.execute(scoped(application, ids[0]), report, cause)
    for _ in range(100):
        if keyed.act("operator", "Describe", TaskID=ids[0])["Status"] == "finished":
            break
        await asyncio.sleep(0.05)

    def listed(**data: Any) -> list[str]:
        answer = keyed.act("operator", "List", **{"Status": "all", "Application": application, **data})
        return [task["TaskID"] for task in answer["Tasks"]]

    newest_first = listed()
    assert newest_first[:4] == ids[::-1]
    assert listed(Offset=1, Limit=2) == newest_first[1:3]
    assert listed(Offset=10_000) == []
    assert ids[0] in listed(Status="finished")
    assert not set(ids[1:]) & set(listed(Status="finished"))
    assert ids[0] not in listed(Status="running")
    created = keyed.act("operator", "DescribeDetail", TaskID=ids[3])["CreateTime"]
    assert ids[3] in listed(StartTime=created, EndTime=created), "both ends are inclusive, in whole seconds"
    after = show(datetime.fromtimestamp(time.time() + 2, UTC))
    assert listed(StartTime=after) == []
    assert listed(EndTime="1970-01-01 00:00:00") == []
    assert listed(EndTime="9999-12-31 23:59:59") == newest_first


async def test_what_is_not_projected_yet_is_found_all_the_same(
    own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    with running_keyed(own_nats_server.url, postgres_dsn, tmp_path) as keyed:
        task_id = keyed.start("north", TaskID="both")
        events = f"/tasks/{task_id}/events"
        blocker = await asyncpg.connect(postgres_dsn)
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK events IN SHARE MODE")
        new_id = keyed.start("south", TaskID="new")
        keyed.act("north", "Stop", TaskID=task_id)
        lagging = [keyed.get("north", events), keyed.get("south", f"/tasks/{new_id}/events")]
        assert keyed.get("north", f"/tasks/{new_id}/events").status_code == 404
        # Whose it is can only be told by the read model.
        unsure = keyed.act("operator", "Describe", TaskID=new_id)
        assert unsure["ErrorCode"] == "InternalError"
        assert keyed.get("operator", f"/tasks/{new_id}/events").status_code == 503
        assert keyed.act("operator", "Describe", TaskID=new_id, Application="south")["Status"] == "normal"
        await transaction.rollback()
        await blocker.close()
        deadline = time.monotonic() + 20
        while keyed.act("operator", "Describe", TaskID=new_id).get("Status") != "normal":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        archived = [keyed.get("north", events), keyed.get("south", f"/tasks/{new_id}/events")]
    told = [answer.json()["Events"] for answer in lagging]
    assert [event["Type"] for event in told[0]] == ["task_created", "stop_requested", "recording_stopped"]
    assert [event["Type"] for event in told[1]] == ["task_created"]
    assert told == [answer.json()["Events"] for answer in archived]


def test_a_key_that_asks_too_often_is_held_back(keyed: Keyed) -> None:
    request = {"Action": "Describe", "Data": {"TaskID": "none"}}
    strangers = [keyed.post(Credentials("slow", "guessed"), request).status_code for _ in range(5)]
    assert strangers == [401] * 5
    begin = time.monotonic()
    answers = [keyed.post(credentials("slow"), request) for _ in range(10)]
    passed_s = time.monotonic() - begin
    accepted = [answer for answer in answers if answer.status_code == 200]
    assert 2 <= len(accepted) <= 2 + passed_s, "two at once, in spite of the strangers, then one a second"
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert refused.status_code == 429
    assert refused.json() == {"message": "API rate limit exceeded"}
    assert refused.headers["Retry-After"] == "1"
    assert len(refused.headers["X-Api-RequestId"]) == 32
    assert keyed.post(credentials("north"), request).status_code == 200, "another key of the application"


def test_a_bucket_fills_again() -> None:
    now_ns = 5
    buckets = TokenBuckets(lambda: now_ns)
    for passed_ms, expected in [(0, 20), (0, 0), (500, 5), (60_000, 20), (99, 0), (1, 1)]:
        now_ns += passed_ms * 1_000_000
        taken = sum(not buckets.take("key", 10) for _ in range(30))
        assert taken == expected, f"after {passed_ms} ms"
    assert buckets.take("key", 10) == 0.1
    assert buckets.take("another", 10) == 0


@pytest.mark.parametrize(
    ("outside", "inside", "sentence"),
    [
        ("a", "b", "TaskID in Data and the one beside it differ; leave one of them out"),
        ("a.b", None, "TaskID must consist of 1 to 64 letters, digits, '_' or '-'"),
        (7, None, "TaskID must be a string"),
        ("none", "none", NOT_FOUND["ErrorMessage"]),
        ("none", None, NOT_FOUND["ErrorMessage"]),
    ],
)
def test_an_id_beside_the_data(keyed: Keyed, outside: object, inside: object, sentence: str) -> None:
    body = {"Action": "Stop", "TaskID": outside, "Data": {"TaskID": inside}}
    assert keyed.post(credentials("north"), body).json()["ErrorMessage"] == sentence


@pytest.mark.parametrize("action", [action for action in ON_ONE_TASK if action != "Refresh"])
def test_what_a_program_sends_besides_is_ignored(keyed: Keyed, action: str) -> None:
    task_id = keyed.start("north")
    keyed.act("north", "Pause", TaskID=task_id)
    answer = keyed.act("north", action, TaskID=task_id, SdkAppId=1, Operator="her")
    assert answer["TaskID"] == task_id


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("Start", {"RecordURL": URL, "Widht": 640}),
        ("Start", {"RecordURL": URL, "Browser": {"Cookie": []}}),
        ("Refresh", {"TaskID": "none", "RecordUrl": URL}),
        ("List", {"Status": "all", "Ofset": 1}),
    ],
)
def test_what_may_be_misspelt_is_refused(keyed: Keyed, action: str, data: dict[str, Any]) -> None:
    answer = keyed.act("north", action, **data)
    assert answer["ErrorCode"] == "InvalidParam"
    assert any(name in answer["ErrorMessage"] for name in ("Widht", "Cookie", "RecordUrl", "Ofset"))


def test_a_signature_is_proof_enough_for_a_web_page(keyed: Keyed) -> None:
    request = {"Action": "Describe", "Data": {"TaskID": keyed.start("north")}}
    answer = keyed.post(credentials("north"), request, Origin="https://example.com").json()
    assert answer["Status"] == "normal"


def test_a_name_that_is_half_a_character_is_answered(keyed: Keyed) -> None:
    response = keyed.post(credentials("north"), {"Action": "Stop", "Data": {"TaskID": "none", "\ud83d": 1}})
    assert response.status_code == 200
    assert response.json()["ErrorCode"] == "InvalidParam"
    for body in ({"Action": "\ud83d", "Data": {}}, {"Action": "Stop", "Data": {"TaskID": "\ud83d"}}):
        assert keyed.post(credentials("north"), body).json()["ErrorCode"] == "InvalidParam"


@pytest.mark.parametrize("text", ["a\0b", "a\x1fb", "a\ud800b"], ids=ascii)
@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("Describe", "TaskID"),
        ("Describe", "Application"),
        ("List", "Application"),
        ("List", "Status"),
        ("List", "StartTime"),
        ("Refresh", "RecordURL"),
        ("Start", "TaskID"),
        ("Start", "RecordURL"),
        ("Start", "CallbackURL"),
        ("Start", "StorageType"),
        ("Start", "PageTitle"),
        ("Start", "Headers.UserAgent"),
        ("Start", "Browser.UserAgent"),
        ("Start", "Browser.Locale"),
        ("Start", "Browser.Timezone"),
        *(
            ("Start", f"Output.Cos.{field}")
            for field in ("Domain", "Bucket", "Region", "TargetDir", "TargetName")
        ),
        *(("Start", f"Output.Video.{field}") for field in ("Muxer", "EncryptKey", "EncryptIv", "AuthUrl")),
        *(("Clip", path) for path in ("TaskID", "ClipID", "CallbackURL")),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_name(
    keyed: Keyed, action: str, path: str, text: str
) -> None:
    """PostgreSQL has no NUL in a text, and nobody can write half a surrogate pair."""
    clip = {"TaskID": "none", "Ranges": [{"Start": 0, "End": 1}]}
    needed = {"Start": {"RecordURL": URL}, "List": {"Status": "all"}, "Clip": clip}
    value: Any = URL + text if path.lower().endswith("url") else text
    for name in reversed(path.split(".")):
        value = {name: value}
    answer = keyed.act("operator", action, **(needed.get(action, {"TaskID": "none"}) | value))
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"].startswith(f"{path} "), answer


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"Offset": 1e300}, "Offset must be in range [0, 1000000000]"),
        ({"Limit": -1e300}, "Limit must be in range [1, 500]"),
        ({"Limit": 0.5}, "Limit must be a whole number"),
    ],
)
def test_a_number_that_is_none_is_refused(keyed: Keyed, data: dict[str, Any], sentence: str) -> None:
    answer = keyed.act("operator", "List", Status="all", **data)
    assert answer == {"ErrorCode": "InvalidParam", "ErrorMessage": sentence}
