"""Requests that the API's description allows, and such as it does not: none breaks dispatch or gives away."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import hypothesis
import pytest
import requests
import schemathesis
from cryptography.fernet import Fernet
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from panoreel.client import Panoreel
from panoreel.eventlog.log import open_log
from panoreel.eventlog.topology import SECRETS, TASKS
from panoreel.signing.client import Credentials, Request, sign
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer

Operation = APIOperation[Any, Any, Any, Any]

AT_ONCE: Final = 60
KEY: Final = Credentials("school", "s" * 40)

SECRET: Final = "5ec2e7" * 5 + "5e"
"""Looks like an `EncryptKey`, so that it may stand wherever a secret may."""

START: Final = {
    "RecordURL": "class",
    "CallbackURL": "done",
    "Output": {"Video": {"Muxers": ["mp4", "hls"], "EncryptKey": "", "AuthUrl": "key"}, "Thumbnails": {}},
    "Browser": {
        "Cookies": [{"Name": "session", "Value": "", "Domain": "127.0.0.1"}],
        "Headers": {"Authorization": "Bearer "},
        "StorageState": {
            "cookies": [],
            "origins": [{"origin": "http://127.0.0.1:1", "localStorage": [{"name": "token", "value": ""}]}],
        },
    },
}
"""Once planted, it has the secret wherever it is allowed."""

URLS: Final = {"RecordURL", "CallbackURL"}
KEYS: Final = {"EncryptKey"}
VALUES: Final = {"Value", "value"}
CHECKS: Final = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def planted(value: Any, name: str = "") -> Any:
    """The same with the secret wherever one may stand, and with no URL that leads to elsewhere."""
    if isinstance(value, dict):
        if name == "Headers":
            return {key: f"{inner}{SECRET}" for key, inner in value.items()}
        return {key: planted(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [planted(inner) for inner in value]
    if isinstance(value, str) and name in URLS:
        return f"http://user:{SECRET}@127.0.0.1:1/{value}?token={SECRET}#{SECRET}"
    if isinstance(value, str) and name == "AuthUrl":
        return f"http://127.0.0.1:1/{value}"  # stands in the playlist, for everybody to read
    if isinstance(value, str) and name in VALUES:
        return value + SECRET
    return SECRET if isinstance(value, str) and name in KEYS else value


def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The same with a signature; told to `requests` as its way of authentication."""
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    assert isinstance(content, bytes)
    headers = {name: str(value) for name, value in request.headers.items()}
    sent = Request(str(request.method), str(request.url), content, headers)
    request.headers.update(sign(KEY, sent, datetime.now(UTC)))
    return request


class Run:
    """Requests to one dispatch, and what came of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests = 0
        self.task_ids: list[str] = []

    def ask(self, case: Case[Any]) -> None:
        """Send one request; the answer is as described, and gives nothing away."""
        case.body = body = planted(case.body)
        action = body.get("Action") if isinstance(body, dict) else None
        data = body.get("Data") if isinstance(body, dict) else None
        if action != "Start" and isinstance(data, dict) and "TaskID" in data and self.requests % 10:
            # Mostly a task that there is.
            data["TaskID"] = self.task_ids[-1]
        answer = case.call(timeout=30, auth=signed)
        self.requests += 1
        case.validate_response(answer, checks=CHECKS)
        assert SECRET not in answer.text
        assert SECRET not in str(answer.headers)
        told = answer.json() if answer.status_code == 200 else {}
        if action == "Start" and "TaskID" in told:
            self.task_ids.append(told["TaskID"])

    def operation(self, operation: Operation, mode: GenerationMode, seed: int) -> None:
        """Ask one operation `AT_ONCE` times, or as often as it can be asked in different ways."""

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=AT_ONCE,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(mode))
        def ask(case: Case[Any]) -> None:
            self.ask(case)

        ask()


@pytest.fixture
def dispatch(own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path) -> Iterator[Dispatch]:
    keys = tmp_path / "keys.json"
    entry = {"id": KEY.id, "secrets": [KEY.secret], "application": "school", "rate_limit": 1_000_000}
    keys.write_text(json.dumps({"keys": [entry]}))
    keys.chmod(0o600)
    key = Fernet.generate_key().decode()
    running = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, key, PANOREEL_KEY_FILE=str(keys))
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0


@pytest.mark.parametrize("requests", [300, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_no_request_breaks_anything(
    requests: int, dispatch: Dispatch, own_nats_server: NatsServer
) -> None:
    run = Run(dispatch.url)
    api = Panoreel(dispatch.url, KEY.id, KEY.secret)
    described = schemathesis.openapi.from_url(f"{dispatch.url}/openapi.json").get_all_operations()
    operations = [found.ok() for found in described if isinstance(found, Ok)]
    seed = 0
    # What is generated at one go is kept in memory until its end.
    while run.requests < requests:
        seed += 1
        run.task_ids.append(api.act("Start", planted(START))["TaskID"])
        for operation in operations:
            run.operation(operation, GenerationMode.POSITIVE, seed)
            if list(operation.iter_parameters()) or len(operation.body):
                run.operation(operation, GenerationMode.NEGATIVE, seed)
    for task_id in run.task_ids[:50]:
        assert SECRET not in str(api.act("DescribeDetail", {"TaskID": task_id}))
        assert SECRET not in str(api.events(task_id))
    api.close()
    assert httpx.get(f"{dispatch.url}/readyz").status_code == 200
    log = dispatch.log.read_text()
    assert "Traceback" not in log
    assert SECRET not in log
    assert SECRET not in await tables(dispatch.dsn)
    assert SECRET.encode() not in await streams(own_nats_server.url)


async def tables(dsn: str) -> str:
    """All that Postgres holds, as text."""
    connection = await asyncpg.connect(dsn)
    names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [str(await connection.fetch(f'SELECT * FROM "{name}"')) for [name] in names]
    await connection.close()
    assert "task_created" in "".join(rows)
    return "".join(rows)


async def streams(url: str) -> bytes:
    """All that the broker holds, sealed or not."""
    async with open_log(url, "test") as log:
        held = []
        names = set()
        for info in await log.js.streams_info():
            name = info.config.name or ""
            names.add(name)
            subscription = await log.js.subscribe(">", stream=name, ordered_consumer=True)
            for _ in range(info.state.messages):
                message = await subscription.next_msg(timeout=5)
                held.append(message.data + json.dumps(message.headers).encode())
            await subscription.unsubscribe()
    assert {TASKS, f"KV_{SECRETS}"} <= names
    return b"".join(held)
