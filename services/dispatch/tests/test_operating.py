"""What an operator meets, and a program that reads descriptions."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import TypeAdapter, ValidationError

from panoreel.contracts.events import TaskCreated
from panoreel.contracts.identifiers import scoped
from panoreel.contracts.media import EncoderParameters
from panoreel.dispatch.answers import Answer, Failed, Refusal, TaskEvents
from panoreel.dispatch.database import connect, migrate, migration_config
from panoreel.dispatch.openapi import PARAMETERS
from panoreel.dispatch.readmodel import Selection, open_read_model
from panoreel.dispatch.settings import DispatchSettings
from panoreel.eventlog.deployment import WEBRTC_UDP, announce
from panoreel.eventlog.log import open_log
from panoreel.runtime.service import load_settings
from tests.servers.dispatch import URL, Dispatch, run_dispatch
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="module")
def dispatch(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    postgres_server.execute("CREATE DATABASE test_operating")
    directory = tmp_path_factory.mktemp("operating")
    dsn = postgres_server.dsn("test_operating")
    running = run_dispatch(module_nats_server.url, dsn, directory, Fernet.generate_key().decode())
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PANOREEL_HOST", "0.0.0.0", "binds loopback only: set a key file, or use 127.0.0.1"),
        ("PANOREEL_HOST", "::", "binds loopback only"),
        ("PANOREEL_HOST", "everywhere", "'everywhere' is neither an address nor localhost"),
        ("PANOREEL_RATE_LIMIT", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv("PANOREEL_NATS_URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("PANOREEL_POSTGRES_DSN", "postgresql://127.0.0.1:1/none")
    monkeypatch.setenv("PANOREEL_SECRET_KEYS", json.dumps([Fernet.generate_key().decode()]))
    assert load_settings(DispatchSettings).host == "127.0.0.1"
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load_settings(DispatchSettings)
    said = capsys.readouterr().err
    assert said.startswith(f"{name}: ")
    assert sentence in said


def test_readiness_names_what_is_missing(
    own_nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    database = PostgresServer(tmp_path_factory.mktemp("own_postgres"))
    database.start()
    database.execute("CREATE DATABASE panoreel")
    key = Fernet.generate_key().decode()
    running = run_dispatch(own_nats_server.url, database.dsn("panoreel"), tmp_path, key)
    try:
        assert readiness(running) == (200, {"status": "ready"})
        own_nats_server.kill()
        assert_not_ready(running, {"nats"})
        assert httpx.get(f"{running.url}/healthz").json() == {"status": "ok"}, "a restart would not help"
        database.stop()
        assert_not_ready(running, {"nats", "postgres"})
        own_nats_server.start()
        database.start()
        deadline = time.monotonic() + 30
        while readiness(running)[0] != 200:
            assert time.monotonic() < deadline, readiness(running)
            time.sleep(0.2)
        assert running.act("Describe", TaskID=running.start())["Status"] == "normal"
    finally:
        running.process.terminate()
        running.process.wait(30)
        database.stop()


def readiness(running: Dispatch) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{running.url}/readyz", timeout=10)
    return answer.status_code, answer.json()


def assert_not_ready(running: Dispatch, parts: set[str]) -> None:
    status, answer = readiness(running)
    assert status == 503
    assert answer["status"] == "not ready"
    assert set(answer["problems"]) == parts


async def test_tasks_of_an_earlier_version_are_found(postgres_dsn: str) -> None:
    """The first schema knew nothing of applications."""
    from alembic import command

    created = TaskCreated(
        record_url=URL, secrets_key="", encoder=EncoderParameters(width=2, height=2), max_duration_s=1
    )
    async with connect(postgres_dsn) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(migration_config(sync), "0001"))
        old = await asyncpg.connect(postgres_dsn)
        for application in (None, "", "north"):
            task_id = scoped(application or "", f"task-{application}")
            state = created.model_dump(mode="json") | {
                "task_id": task_id,
                "create_time": "2026-01-02T03:04:05Z",
                "callback_url": None,
            }
            if application is None:
                del state["application"]
            else:
                state["application"] = application
            await old.execute(
                "INSERT INTO tasks VALUES ($1, 1, 'normal', $2::text::timestamptz, $3)",
                task_id,
                state["create_time"],
                json.dumps(state),
            )
        await old.close()
        await migrate(engine)
        await migrate(engine)
    async with open_read_model(postgres_dsn) as read_model:
        for application, expected in [
            ("", {"task-", "task-None"}),
            ("north", {"task-north"}),
            ("south", set()),
            (None, {"task-", "task-None", "task-north"}),
        ]:
            total, found = await read_model.select(Selection(application, None, None, None), 0, 10)
            assert {task.public_id for task in found} == expected
            assert total == len(expected)
        assert await read_model.ids("task-north") == [scoped("north", "task-north")]


async def test_health_tells_whether_pages_may_use_udp(
    own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path, slack: float
) -> None:
    running = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, Fernet.generate_key().decode())

    def health() -> dict[str, Any]:
        # An orchestrator waits for one second, and then restarts what did not answer.
        answer: dict[str, Any] = httpx.get(f"{running.url}/healthz", timeout=0.5 * slack).json()
        return answer

    try:
        assert health() == {"status": "ok"}
        async with open_log(own_nats_server.url, "test") as log:
            for recorder, says, told in (
                ("one", "filtered", "filtered"),
                ("other", "off", "off"),
                ("one", "filtered", "off"),
                ("other", "filtered", "filtered"),
            ):
                await announce(log, WEBRTC_UDP, recorder, says)
                async with asyncio.timeout(10):
                    while health().get("webrtc_udp") != told:
                        await asyncio.sleep(0.02)
        own_nats_server.freeze()
        for _ in range(3):
            assert health() == {"status": "ok", "webrtc_udp": "filtered"}
    finally:
        own_nats_server.thaw()
        running.process.terminate()
        assert running.process.wait(30) == 0


def test_every_action_and_answer_is_described(dispatch: Dispatch) -> None:
    described = httpx.get(f"{dispatch.url}/openapi.json").json()
    known = dispatch.act("?")["ErrorMessage"].partition("one of ")[2].split(", ")
    body = described["paths"]["/record"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(body["discriminator"]["mapping"]) == known == list(PARAMETERS)
    schemas = described["components"]["schemas"]
    for action, reference in body["discriminator"]["mapping"].items():
        schema = schemas[reference.removeprefix("#/components/schemas/")]
        assert schema["properties"]["Action"]["const"] == action
        assert set(schema["required"]) == {"Action", "Data"}
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(described)))
    assert references <= set(schemas)
    statuses = set(described["paths"]["/record"]["post"]["responses"])
    assert statuses == {"200", "401", "408", "413", "429", "503"}
    assert set(described["paths"]) == {"/", "/record", "/tasks/{task_id}/events", "/healthz", "/readyz"}


def test_answers_are_as_described(dispatch: Dispatch) -> None:
    """The models forbid what they do not name, so an answer fits one of them or is not described."""
    task_id = dispatch.start()
    answers: TypeAdapter[Answer] = TypeAdapter(Answer)
    requests: list[tuple[str, dict[str, Any]]] = [(action, {"TaskID": task_id}) for action in PARAMETERS]
    requests += [
        ("Start", {"RecordURL": URL}),
        ("List", {"Status": "all"}),
        ("Describe", {"TaskID": task_id}),
    ]
    kinds = set()
    for action, data in requests:
        answer = httpx.post(f"{dispatch.url}/record", json={"Action": action, "Data": data}).json()
        kinds.add(type(answers.validate_python(answer)))
    assert len(kinds) == 5
    with pytest.raises(ValidationError):
        Failed.model_validate({"ErrorCode": "Strange", "ErrorMessage": "", "RequestID": ""})
    TaskEvents.model_validate(httpx.get(f"{dispatch.url}/tasks/{task_id}/events").json())
    for path in ("none", "a.b"):
        Refusal.model_validate(httpx.get(f"{dispatch.url}/tasks/{path}/events").json())


def test_the_page_of_the_documentation_needs_nothing_from_elsewhere(dispatch: Dispatch) -> None:
    page = httpx.get(f"{dispatch.url}/docs")
    assert page.status_code == 200
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href|url)\s*[=:]\s*["\']([^"\']+)["\']', page.text)
    assert {"docs/swagger-ui.js", "docs/swagger-ui.css", "openapi.json"} <= set(loaded)
    for link in loaded:
        assert "//" not in link
        if not link.startswith("data:"):
            assert httpx.get(f"{dispatch.url}/{link}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nowhere", 404, "There is no api match uri[/nowhere]"),
        ("POST", "/record/", 404, "There is no api match uri[/record/]"),
        ("PUT", "/record", 404, "There is no api match method[PUT]"),
        ("GET", "/tasks/a.b/events", 422, "task_id must consist of 1 to 64 letters, digits, '_' or '-'"),
        ("GET", "/tasks/a/events?application=%00", 422, "application must not contain control characters"),
        ("GET", "/tasks/a/events?application=b", 422, "Application is for an admin's key; leave it out"),
        ("GET", "/tasks/none/events", 404, "no task none"),
    ],
)
def test_a_wrong_place(dispatch: Dispatch, method: str, path: str, status: int, message: str) -> None:
    answer = httpx.request(method, f"{dispatch.url}{path}")
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert len(answer.headers["X-Api-RequestId"]) == 32
