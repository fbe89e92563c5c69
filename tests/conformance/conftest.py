"""One dispatch for the whole table, with the keys of two schools; the log's other writers are played."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.fernet import Fernet

from contracts.tests.examples import segment
from panoreel.contracts.commands import Command
from panoreel.contracts.envelope import Cause
from panoreel.contracts.identifiers import scoped
from panoreel.eventlog.log import open_log
from panoreel.eventlog.segments import announce
from panoreel.signing.client import Credentials, Request, sign
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

SCHOOL = Credentials("school", "school-secret")
OTHER_SCHOOL = Credentials("other-school", "other-secret")
ADMIN = Credentials("operator", "operator-secret")
PAIR = Credentials("AKIDpair", "pair-secret")

KEYS = {
    "keys": [
        {"id": SCHOOL.id, "secrets": [SCHOOL.secret, "retiring-secret"], "application": "school"},
        {"id": OTHER_SCHOOL.id, "secrets": [OTHER_SCHOOL.secret], "application": "other"},
        {"id": ADMIN.id, "secrets": [ADMIN.secret], "application": "operators", "admin": True},
        {"id": PAIR.id, "secrets": [PAIR.secret], "application": "school", "kind": "key_pair"},
        {"id": "disabled", "secrets": ["x"], "application": "school", "enabled": False},
        {"id": "bound", "secrets": ["x"], "application": "school", "paths": ["/elsewhere"]},
    ]
}


@dataclass(frozen=True)
class Api:
    """The API as one school's client meets it."""

    dispatch: Dispatch
    nats_url: str

    def post(self, body: object, credentials: Credentials = SCHOOL) -> httpx.Response:
        """One signed request; `body` is sent as JSON, or as it is if it is bytes."""
        url = f"{self.dispatch.url}/record"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = sign(credentials, Request("POST", url, content), datetime.now(UTC))
        return httpx.post(url, content=content, headers=headers, timeout=30)

    def act(self, action: str, credentials: Credentials = SCHOOL, /, **data: Any) -> dict[str, Any]:
        """One action; its answer without the `RequestID`, which must be there and be the header's."""
        response = self.post({"Action": action, "Data": data}, credentials)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer.pop("RequestID") == response.headers["X-Api-RequestId"]
        return answer

    def start(self, **data: Any) -> str:
        """Start a task; its id."""
        answer = self.act("Start", **{"RecordURL": "http://127.0.0.1:1/class", **data})
        task_id: str = answer["TaskID"]
        return task_id

    def report(self, task_id: str, *commands: Command) -> None:
        """Append what the other services would, and wait until it can be read."""
        seq = asyncio.run(self._report(scoped("school", task_id), commands))
        while self._history(task_id)[-1]["Seq"] < seq:
            time.sleep(0.02)

    def announce(self, task_id: str) -> None:
        """Tell of three seconds of media."""
        asyncio.run(self._announce(scoped("school", task_id)))

    def events(self, task_id: str) -> list[str]:
        """The types of the task's events."""
        return [event["Type"] for event in self._history(task_id)]

    def _history(self, task_id: str) -> list[dict[str, Any]]:
        url = f"{self.dispatch.url}/tasks/{task_id}/events"
        headers = sign(SCHOOL, Request("GET", url), datetime.now(UTC))
        history: list[dict[str, Any]] = httpx.get(url, headers=headers, timeout=30).json()["Events"]
        return history

    async def _announce(self, task_id: str) -> None:
        async with open_log(self.nats_url, "conformance") as log:
            await announce(log, segment(task_id, 1, 0))

    async def _report(self, task_id: str, commands: tuple[Command, ...]) -> int:
        seq = 0
        async with open_log(self.nats_url, "conformance") as log:
            for command in commands:
                seq = (await log.execute(task_id, command, Cause("conformance"))).seq
        return seq


@pytest.fixture(scope="module")
def api(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """A dispatch that demands signatures."""
    directory = tmp_path_factory.mktemp("conformance")
    keys = directory / "keys.json"
    keys.write_text(json.dumps(KEYS))
    keys.chmod(0o600)
    database = f"conformance_{uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {database}")
    dispatch = run_dispatch(
        module_nats_server.url,
        postgres_server.dsn(database),
        directory,
        Fernet.generate_key().decode(),
        PANOREEL_KEY_FILE=str(keys),
        PANOREEL_STORAGE_TYPES='["cfs", "cos"]',
        PANOREEL_TARGETS='["cos", "vod"]',
    )
    yield Api(dispatch, module_nats_server.url)
    dispatch.process.terminate()
    assert dispatch.process.wait(30) == 0
    assert "Traceback" not in dispatch.log.read_text()
