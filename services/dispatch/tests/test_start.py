"""Start: with a `TaskID` all of its repeats are one task; what a caller keeps secret stays sealed."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet

from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import CallbackSkipped, OutputsPackaged, OutputsUploaded, TaskCreated
from panoreel.dispatch.actions.repetition import RequestDigests
from panoreel.dispatch.parameters import StartParameters
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.topology import SECRETS
from tests.servers.dispatch import URL, Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

PAGE = "http://127.0.0.1:1/page?token=hunter2"


def running(directory: Path, nats_url: str, dsn: str, keys: list[str], **settings: str) -> Iterator[Dispatch]:
    """A dispatch that must neither fail nor leave a traceback."""
    secret_keys = {"PANOREEL_SECRET_KEYS": json.dumps(keys)}
    dispatch = run_dispatch(nats_url, dsn, directory, keys[0], **secret_keys, **settings)
    yield dispatch
    dispatch.process.terminate()
    assert dispatch.process.wait(30) == 0
    assert "Traceback" not in dispatch.log.read_text()


@pytest.fixture(scope="module")
def dispatch(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    postgres_server.execute("CREATE DATABASE test_start")
    directory = tmp_path_factory.mktemp("start")
    dsn = postgres_server.dsn("test_start")
    yield from running(directory, module_nats_server.url, dsn, [Fernet.generate_key().decode()])


@pytest.fixture
async def log(module_nats_server: NatsServer) -> Any:
    async with open_log(module_nats_server.url, "test") as log:
        yield log


async def created(log: EventLog, task_id: str) -> list[TaskCreated]:
    events = [stored.event async for stored in log.history(task_id)]
    return [event for event in events if isinstance(event, TaskCreated)]


async def sealed(log: EventLog, task_id: str) -> list[str]:
    """The keys under which anything is sealed for the task."""
    info = await log.js.stream_info(f"KV_{SECRETS}", subjects_filter=f"$KV.{SECRETS}.>")
    keys = [subject.removeprefix(f"$KV.{SECRETS}.") for subject in info.state.subjects or {}]
    return [key for key in keys if key.partition(".")[0] == task_id]


async def finish(log: EventLog, task_id: str) -> None:
    for command in (
        commands.ReportPackaged(OutputsPackaged(outputs=())),
        commands.ReportUploaded(OutputsUploaded(videos=())),
        commands.ReportCallback(CallbackSkipped()),
    ):
        await log.execute(task_id, command, Cause("test"))


async def test_the_same_request_again_is_the_same_task(dispatch: Dispatch, log: EventLog) -> None:
    request = {
        "TaskID": "lesson-1",
        "RecordURL": PAGE,
        "Width": 640,
        "Browser": {"Headers": {"A": "1", "B": "2"}},
    }
    # Neither a default that is spelled out, nor the order, nor the place of the id makes another request.
    again = {"Browser": {"Headers": {"B": "2", "A": "1"}, "Cookies": []}, "Width": 640.0, "Height": 0}
    assert dispatch.act("Start", **request) == {"TaskID": "lesson-1"}
    for _ in range(2):
        assert dispatch.act("Start", **request) == {"TaskID": "lesson-1"}
        body = {"Action": "Start", "TaskID": "lesson-1", "Data": {"RecordURL": PAGE} | again}
        assert httpx.post(f"{dispatch.url}/record", json=body).json()["TaskID"] == "lesson-1"
        if dispatch.act("Describe", TaskID="lesson-1")["Status"] == "normal":
            dispatch.act("Stop", TaskID="lesson-1")
            await finish(log, "lesson-1")
    assert dispatch.act("Describe", TaskID="lesson-1")["Status"] == "finished"
    assert len(await created(log, "lesson-1")) == 1
    assert len(await sealed(log, "lesson-1")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"RecordURL": "http://127.0.0.1:1/page?token=hunter3"},
        {"CallbackURL": "http://127.0.0.1:1/"},
        {"Width": 642},
        {"ManualStart": True},
        {"Browser": {"Cookies": [{"Name": "a", "Value": "hunter2", "Domain": "127.0.0.1"}]}},
    ],
)
async def test_another_request_of_the_same_id_is_refused(
    dispatch: Dispatch, log: EventLog, change: dict[str, Any]
) -> None:
    task_id = f"taken-{next(iter(change))}"
    dispatch.act("Start", TaskID=task_id, RecordURL=PAGE)
    answer = dispatch.act("Start", **{"TaskID": task_id, "RecordURL": PAGE} | change)
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"].startswith(f"TaskID {task_id} is taken by a task with other parameters")
    assert "hunter" not in answer["ErrorMessage"]
    secrets_key = (await created(log, task_id))[0].secrets_key
    assert await sealed(log, task_id) == [secrets_key]
    assert (await SecretStore(log, [dispatch.key]).unseal(secrets_key)).record_url == PAGE


@pytest.mark.parametrize("variants", [1, 2])
async def test_twenty_clients_at_once_make_one_task(dispatch: Dispatch, log: EventLog, variants: int) -> None:
    """Whoever asked for what the winner did gets the task; of the secrets the winner's alone stay."""
    task_id = f"crowd-{variants}"
    pages = [f"{PAGE}{number % variants}" for number in range(20)]
    before = (await log.js.stream_info(f"KV_{SECRETS}")).state.last_seq
    blocker = await asyncpg.connect(dispatch.dsn)
    async with httpx.AsyncClient(timeout=30) as client:
        requests = [{"Action": "Start", "Data": {"TaskID": task_id, "RecordURL": page}} for page in pages]
        async with blocker.transaction():
            await blocker.execute("LOCK tasks IN ACCESS EXCLUSIVE MODE")  # all ask before any creates
            posts = [client.post(f"{dispatch.url}/record", json=request) for request in requests]
            answering = asyncio.gather(*posts)
            await asyncio.sleep(1)
        responses = await answering
    await blocker.close()
    assert (await log.js.stream_info(f"KV_{SECRETS}")).state.last_seq > before + 1, "nobody came second"
    (event,) = await created(log, task_id)
    winner = (await SecretStore(log, [dispatch.key]).unseal(event.secrets_key)).record_url
    for page, response in zip(pages, responses, strict=True):
        answer = response.json()
        assert answer.get("TaskID") == (task_id if page == winner else None), answer
        assert ("ErrorCode" not in answer) == (page == winner), answer
    assert Counter(pages)[winner] == 20 / variants
    assert await sealed(log, task_id) == [event.secrets_key]


def test_a_repeat_is_recognized_after_the_keys_were_rotated() -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    request = StartParameters(RecordURL=PAGE)
    digest = RequestDigests([old]).of(request)
    assert RequestDigests([new, old]).recognizes(digest, request)
    assert not RequestDigests([new, old]).recognizes(digest, StartParameters(RecordURL=URL))
    assert not RequestDigests([new]).recognizes(digest, request), "it is worth nothing without the key"
    assert not RequestDigests([old]).recognizes(None, request)


async def test_a_repeat_after_an_unknown_outcome(
    own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    """The broker dies while requests are under way: whether it stored their tasks, the repeat finds out."""
    key = Fernet.generate_key().decode()
    dispatch = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, key)
    task_ids = [f"unsure-{number}" for number in range(20)]

    def start(task_id: str) -> dict[str, Any]:
        request = {"Action": "Start", "Data": {"TaskID": task_id, "RecordURL": PAGE}}
        answer: dict[str, Any] = httpx.post(f"{dispatch.url}/record", json=request, timeout=60).json()
        return answer

    with ThreadPoolExecutor(8) as clients:
        under_way = [clients.submit(start, task_id) for task_id in task_ids]
        while not any(answer.done() for answer in under_way):
            await asyncio.sleep(0.005)
        own_nats_server.kill()
        own_nats_server.start()
        for answer in under_way:
            answer.result()
        for answer_again in clients.map(start, task_ids):
            assert "ErrorCode" not in answer_again
    async with open_log(own_nats_server.url, "test") as log:
        for task_id in task_ids:
            (event,) = await created(log, task_id)
            assert (await SecretStore(log, [key]).unseal(event.secrets_key)).record_url == PAGE
    dispatch.process.terminate()
    assert dispatch.process.wait(30) == 0


async def test_secrets_are_sealed_and_appear_nowhere(dispatch: Dispatch, log: EventLog) -> None:
    callback = "http://user:hunter2@127.0.0.1:1/done?key=hunter2"
    cookie = {"Name": "session", "Value": "hunter2", "Domain": "127.0.0.1"}
    item = {"name": "token", "value": "hunter2"}
    browser = {
        "Cookies": [cookie],
        "Headers": {"Authorization": "Bearer hunter2"},
        "UserAgent": "hunter2",
        "StorageState": {"origins": [{"origin": "http://127.0.0.1:1", "localStorage": [item]}]},
    }
    task_id = dispatch.start(CallbackURL=callback, Browser=browser)
    answers = [
        dispatch.act("Start", RecordURL=URL, Browser=wrong)
        for wrong in (
            {"Cookies": [cookie | {"Value": "hunter2;"}]},
            {"Headers": {"Authorization": "hunter2\n"}},
            {"Headers": {"hunter2 ": ""}},
            {"StorageState": "hunter2"},
        )
    ]
    assert [answer["ErrorCode"] for answer in answers] == ["InvalidParam"] * len(answers)
    (event,) = await created(log, task_id)
    secrets = await SecretStore(log, [dispatch.key]).unseal(event.secrets_key)
    assert (secrets.record_url, secrets.callback_url) == (URL, callback)
    assert secrets.browser.cookies[0].value == secrets.browser.user_agent == "hunter2"
    assert secrets.browser.headers == {"Authorization": "Bearer hunter2"}
    assert secrets.browser.local_storage == {"http://127.0.0.1:1": {"token": "hunter2"}}

    payloads = b"".join([stored.payload async for stored in log.history(task_id)]).decode()
    history = httpx.get(f"{dispatch.url}/tasks/{task_id}/events").text
    detail = str(dispatch.act("DescribeDetail", TaskID=task_id))
    connection = await asyncpg.connect(dispatch.dsn)
    tables = [str(await connection.fetch(f"SELECT * FROM {table}")) for table in ("tasks", "events")]
    await connection.close()
    for shown in (payloads, history, detail, *tables, str(answers), dispatch.log.read_text()):
        assert "hunter2" not in shown
    assert "http://127.0.0.1:1/class" in history


async def test_what_the_recorder_reads_in_the_event(dispatch: Dispatch, log: EventLog) -> None:
    asked = {"ManualStart": True, "PageTitle": "课堂", "Width": 641, "Headers": {"UserAgent": "visitor"}}
    task_id = dispatch.start(**asked)
    (event,) = await created(log, task_id)
    assert (event.manual_start, event.page_title, event.encoder.width) == (True, "课堂", 641)
    assert event.storage_type == "cfs"
    assert (await SecretStore(log, [dispatch.key]).unseal(event.secrets_key)).browser.user_agent == "visitor"


async def test_a_state_as_large_as_a_request_may_be(dispatch: Dispatch, log: EventLog) -> None:
    item = {"name": "state", "value": "课" * 170_000}
    browser = {"StorageState": {"origins": [{"origin": "http://127.0.0.1:1", "localStorage": [item]}]}}
    body = json.dumps({"Action": "Start", "Data": {"RecordURL": URL, "Browser": browser}}, ensure_ascii=False)
    answer = httpx.post(f"{dispatch.url}/record", content=body.encode(), timeout=30).json()
    (event,) = await created(log, answer["TaskID"])
    found = await SecretStore(log, [dispatch.key]).unseal(event.secrets_key)
    assert found.browser.local_storage == {"http://127.0.0.1:1": {"state": item["value"]}}


def test_what_a_deployment_cannot_do_is_refused(
    own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    page = "http://1.1.1.1/"  # an address, so that nothing is looked up
    rows = (
        ({"RecordURL": PAGE}, "RecordURL must lead to a public address"),
        ({"RecordURL": page, "CallbackURL": PAGE}, "CallbackURL must lead to a public address"),
        ({"RecordURL": page, "StorageType": "cfs"}, "StorageType cfs is not configured here; use cos"),
    )
    settings = {"PANOREEL_ALLOWED_NETWORKS": "[]", "PANOREEL_STORAGE_TYPES": '["cos"]'}
    keys = [Fernet.generate_key().decode()]
    for dispatch in running(tmp_path, own_nats_server.url, postgres_dsn, keys, **settings):
        for data, sentence in rows:
            answer = dispatch.act("Start", **data)
            assert (answer["ErrorCode"], answer["ErrorMessage"][: len(sentence)]) == (
                "InvalidParam",
                sentence,
            )
