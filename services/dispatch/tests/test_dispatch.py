"""Dispatch as a process: the API over HTTP, with a real event log and a real database."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet

from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import OutputsPackaged, OutputsUploaded
from panoreel.dispatch.audit import audit
from panoreel.dispatch.authentication.middleware import MAX_BODY_BYTES
from panoreel.dispatch.database import connect
from panoreel.dispatch.readmodel import READ_TIMEOUT_S
from panoreel.dispatch.worker import LAST_REQUESTS_S
from panoreel.eventlog.log import EventLog, open_log
from panoreel.signing.client import Credentials, Request, sign
from tests.servers.dispatch import URL, Dispatch, run_dispatch
from tests.servers.nats import NatsServer


@pytest.fixture
def dispatch(own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path) -> Iterator[Dispatch]:
    running = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, Fernet.generate_key().decode())
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0
    assert "Traceback" not in running.log.read_text()


async def finish(log: EventLog, task_id: str) -> None:
    cause = Cause("test")
    await log.execute(task_id, commands.ReportPackaged(OutputsPackaged(outputs=())), cause)
    await log.execute(task_id, commands.ReportUploaded(OutputsUploaded(videos=())), cause)


def test_a_task_is_created_described_and_stopped(dispatch: Dispatch) -> None:
    task_id = dispatch.start()
    described = dispatch.act("Describe", TaskID=task_id)
    assert described.pop("CreateTime") == pytest.approx(time.time(), abs=60)
    assert described == {"TaskID": task_id, "Status": "normal", "StorageType": "cfs"}

    assert dispatch.act("Stop", TaskID=task_id) == {"TaskID": task_id}
    described = dispatch.act("Describe", TaskID=task_id)
    assert described["Status"] == "transcode", "nobody had claimed it, so it ends without media"
    assert described["CancelTime"] == described["StopTime"]
    assert dispatch.act("Stop", TaskID=task_id) == {"TaskID": task_id}, "again, without effect"

    history = httpx.get(f"{dispatch.url}/tasks/{task_id}/events").json()["Events"]
    assert [event["Type"] for event in history] == ["task_created", "stop_requested", "recording_stopped"]
    assert [event["Seq"] for event in history] == [1, 2, 3]


@pytest.mark.parametrize(
    ("action", "data", "sentence"),
    [
        ("Start", {}, "RecordURL missing"),
        ("Start", {"RecordURL": URL, "Width": 3000}, "Width must be in range [0, 2560]"),
        (
            "Start",
            {"RecordURL": URL, "Output": {"Cos": {"TargetDir": "../x"}}},
            "Output.Cos.TargetDir must not contain",
        ),
        ("Stop", {}, "TaskID missing"),
        ("Stop", {"TaskID": "none"}, "invalid task id, task not found"),
        ("Describe", {"TaskID": "none"}, "invalid task id, task not found"),
        ("Dance", {}, "unknown action 'Dance'; Action must be one of Start, Pause"),
    ],
)
def test_a_mistake_is_answered(
    shared_dispatch: Dispatch, action: str, data: dict[str, Any], sentence: str
) -> None:
    answer = shared_dispatch.act(action, **data)
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"].startswith(sentence)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"Action": "Stop"}',
        b'{"Action": 1, "Data": {}}',
        b'"\xff"',
        b"[" * 100_000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"Action": "Describe", "Data": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_request(shared_dispatch: Dispatch, body: bytes) -> None:
    answer = httpx.post(f"{shared_dispatch.url}/", content=body)
    assert answer.status_code == 200
    assert answer.json()["ErrorCode"] == "InvalidParam"


def test_an_unknown_task_has_no_events(shared_dispatch: Dispatch) -> None:
    assert httpx.get(f"{shared_dispatch.url}/tasks/none/events").status_code == 404


@pytest.mark.parametrize("task_id", ["%00", "%ff", "a.b", "x" * 65])
def test_what_can_be_no_task_has_no_events(shared_dispatch: Dispatch, task_id: str) -> None:
    assert httpx.get(f"{shared_dispatch.url}/tasks/{task_id}/events").status_code == 422


def test_a_long_body_is_not_even_read(shared_dispatch: Dispatch) -> None:
    body = b'{"Action": "' + b"x" * MAX_BODY_BYTES + b'", "Data": {}}'
    assert httpx.post(f"{shared_dispatch.url}/record", content=body).status_code == 413


def test_a_web_page_may_not_call(shared_dispatch: Dispatch) -> None:
    """A form or a fetch without CORS reaches any port of this machine, with whatever text for a body."""
    body = json.dumps({"Action": "Start", "Data": {"RecordURL": URL}})
    headers = {"Content-Type": "text/plain", "Origin": "https://example.com"}
    answer = httpx.post(f"{shared_dispatch.url}/record", content=body, headers=headers).json()
    assert answer["ErrorCode"] == "InvalidParam"
    assert "Origin" in answer["ErrorMessage"]


def test_a_client_that_goes_or_stays_silent_is_no_trouble(dispatch: Dispatch) -> None:
    """The fixture asserts that neither left a traceback, and that the process ends in time all the same."""
    unfinished = b"POST /record HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    address = httpx.URL(dispatch.url)
    with socket.create_connection((address.host, address.port)) as gone:
        gone.sendall(unfinished)
    with socket.create_connection((address.host, address.port)) as silent:
        silent.sendall(unfinished)
        dispatch.start()
        dispatch.process.terminate()
        assert dispatch.process.wait(LAST_REQUESTS_S + 4) == 0
    log = dispatch.log.read_text()
    assert "ClientDisconnect" not in log
    dispatch.log.write_text("")  # what is cut off at the end has a traceback, and should


async def test_a_database_that_is_silent_is_told(dispatch: Dispatch) -> None:
    task_id = dispatch.start()
    events_url = f"{dispatch.url}/tasks/{task_id}/events"
    blocker = await asyncpg.connect(dispatch.dsn)
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("LOCK events, tasks IN ACCESS EXCLUSIVE MODE")
    async with httpx.AsyncClient(timeout=READ_TIMEOUT_S + 20) as client:
        request = {"Action": "Describe", "Data": {"TaskID": task_id}}
        described, history = await asyncio.gather(
            client.post(f"{dispatch.url}/record", json=request), client.get(events_url)
        )
    assert described.json()["ErrorCode"] == "InternalError"
    assert history.status_code == 503
    await transaction.rollback()
    await blocker.close()
    assert dispatch.act("Describe", TaskID=task_id)["Status"] == "normal"
    dispatch.log.write_text("")  # what it says about the outage has a traceback, and should


@pytest.fixture(scope="module")
def shared_dispatch(
    module_nats_server: NatsServer, postgres_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    postgres_server.execute("CREATE DATABASE shared_dispatch")
    directory = tmp_path_factory.mktemp("dispatch")
    dsn = postgres_server.dsn("shared_dispatch")
    running = run_dispatch(module_nats_server.url, dsn, directory, Fernet.generate_key().decode())
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0


async def test_log_archive_and_read_model_agree(dispatch: Dispatch, own_nats_server: NatsServer) -> None:
    task_ids = [dispatch.start() for _ in range(20)]
    for task_id in task_ids[::2]:
        dispatch.act("Stop", TaskID=task_id)
    async with open_log(own_nats_server.url, "test") as log, connect(dispatch.dsn) as engine:
        for task_id in task_ids[::4]:
            await finish(log, task_id)
        assert await until_empty(lambda: audit(engine, log)) == []
        connection = await asyncpg.connect(dispatch.dsn)
        await connection.execute("UPDATE tasks SET state = state - 'forced' - 'refreshes'")
        assert await audit(engine, log) == [], "an older version knew no such fields"
        await connection.execute("UPDATE tasks SET application = 'other' WHERE task_id = $1", task_ids[1])
        given_away = await audit(engine, log)
        await connection.execute("UPDATE tasks SET status = status, state = state || '{\"retry_num\": 7}'")
        await connection.execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
        await connection.close()
        findings = await audit(engine, log)
        connection = await asyncpg.connect(dispatch.dsn)
        await connection.execute("DELETE FROM events")
        await connection.execute("DELETE FROM tasks")
        await connection.close()
        emptied = await audit(engine, log)
    assert given_away == [f"task {task_ids[1]}: the read model is not what its events add up to"]
    assert len([f for f in emptied if "events are not the log's" in f]) == len(task_ids)
    assert len([f for f in findings if "not what its events add up to" in f]) >= 19
    assert len([f for f in findings if "events are not the log's" in f]) == 1


async def until_empty(question: Any) -> list[str]:
    """The projection is at most moments behind what did not come through dispatch."""
    findings: list[str] = ["not asked"]
    for _ in range(200):
        findings = await question()
        if not findings:
            break
        await asyncio.sleep(0.1)
    return findings


def test_a_restart_goes_on_where_it_was(
    dispatch: Dispatch, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    before = dispatch.start()
    dispatch.process.kill()
    dispatch.process.wait()
    (tmp_path / "ready").unlink()
    again = run_dispatch(own_nats_server.url, dispatch.dsn, tmp_path, dispatch.key)
    try:
        after = again.start()
        assert again.act("Describe", TaskID=before)["Status"] == "normal"
        assert again.act("Describe", TaskID=after)["Status"] == "normal"
        assert httpx.get(f"{again.url}/healthz").json() == {"status": "ok"}
    finally:
        dispatch.process = again.process


def test_a_broker_outage_is_told_and_survived(dispatch: Dispatch, own_nats_server: NatsServer) -> None:
    task_id = dispatch.start()
    own_nats_server.kill()
    answer = httpx.post(
        f"{dispatch.url}/record", json={"Action": "Stop", "Data": {"TaskID": task_id}}, timeout=60
    ).json()
    assert answer["ErrorCode"] == "InternalError"
    own_nats_server.start()
    deadline = time.monotonic() + 60
    while "ErrorCode" in dispatch.act("Stop", TaskID=task_id):
        assert time.monotonic() < deadline
    assert dispatch.act("Describe", TaskID=task_id)["Status"] == "transcode"
    assert answer["RequestID"] in dispatch.log.read_text()
    dispatch.log.write_text("")  # what it says about the outage has a traceback, and should


def test_a_log_that_is_not_the_same_stops_the_projection(
    own_nats_server: NatsServer, module_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    key = Fernet.generate_key().decode()
    running = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, key)
    running.start()
    running.process.terminate()
    running.process.wait(30)
    other = run_dispatch(module_nats_server.url, postgres_dsn, tmp_path, key)
    try:
        health = None
        for _ in range(200):
            health = httpx.get(f"{other.url}/healthz")
            if health.status_code == 503:
                break
            time.sleep(0.1)
        assert health is not None
        assert "was created anew" in health.json()["projection"]
        ready = httpx.get(f"{other.url}/readyz")
        assert ready.status_code == 503
        assert "was created anew" in ready.json()["problems"]["projection"]
        listed = other.act("List", Status="all")
        assert listed["ErrorCode"] == "InternalError", "what is old is not told as true"
    finally:
        other.process.terminate()
        other.process.wait(30)


def test_with_a_key_file_only_signed_requests_are_answered(
    own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    key_file = tmp_path / "keys.json"
    entry = {"id": "school", "secrets": ["s" * 40], "application": "school", "kind": "application"}
    key_file.write_text(json.dumps({"keys": [entry]}))
    key_file.chmod(0o600)
    key = Fernet.generate_key().decode()
    running = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, key, PANOREEL_KEY_FILE=str(key_file))
    try:
        url = f"{running.url}/record"
        body = json.dumps({"Action": "Describe", "Data": {"TaskID": "课堂"}}).encode()
        refused = httpx.post(url, content=body)
        assert refused.status_code == 401
        assert "authorization header is required" in refused.json()["message"]
        credentials = Credentials("school", "s" * 40)
        signed = sign(credentials, Request("POST", url, body), datetime.now(UTC))
        answer = httpx.post(url, content=body, headers=signed)
        assert answer.status_code == 200
        assert answer.json()["ErrorMessage"].startswith("TaskID must consist of")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        signed = sign(credentials, Request("POST", url, body, form), datetime.now(UTC))
        answer = httpx.post(url, content=body, headers=signed)
        assert answer.json()["ErrorMessage"] == "Content-Type must be application/json"
        assert httpx.get(f"{running.url}/healthz").status_code == 200
    finally:
        running.process.terminate()
        running.process.wait(30)


def test_only_loopback_is_bound(module_nats_server: NatsServer, postgres_dsn: str) -> None:
    environment = {
        "PANOREEL_NATS_URL": module_nats_server.url,
        "PANOREEL_POSTGRES_DSN": postgres_dsn,
        "PANOREEL_SECRET_KEYS": json.dumps([Fernet.generate_key().decode()]),
        "PANOREEL_HOST": "0.0.0.0",
    }
    command = [sys.executable, "-m", "panoreel.dispatch"]
    result = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "PANOREEL_HOST" in result.stderr
    assert "loopback only" in result.stderr
