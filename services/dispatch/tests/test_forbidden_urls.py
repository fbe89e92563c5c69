"""URLs that lead where no caller may send us, over HTTP, to a dispatch that allows no networks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from cryptography.fernet import Fernet

from contracts.tests.forbidden_urls import forbidden_urls
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.eventlog.log import open_log
from panoreel.reach.resolution import LOOK_UPS
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.dns import SILENCE, NameServer, serve_names
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

PUBLIC = "https://8.8.8.8/class"
FORBIDDEN_NAMES = {
    "loopback.test": "127.0.0.2",
    "private.test": "10.0.0.1",
    "metadata.test": "169.254.169.254",
    "alias.test": "CNAME localhost 127.0.0.1 ::1",
    "mapped.test": "::ffff:127.0.0.1",
    "nat64.test": "64:ff9b::a00:1",
    "several.test": "10.0.0.1 127.0.0.1 fd00::1 fe80::1",
}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    with serve_names(tmp_path_factory.mktemp("names")) as server:
        yield server


def running(
    nats: NatsServer, postgres: PostgresServer, directory: Path, within: list[str]
) -> Iterator[Dispatch]:
    """A dispatch, which leaves no traceback, and nothing of a URL in its log."""
    database = f"test_{directory.name}"
    postgres.execute(f"CREATE DATABASE {database}")
    key = Fernet.generate_key().decode()
    settings = {"PANOREEL_ALLOWED_NETWORKS": "[]", "PANOREEL_RATE_LIMIT": "10000"}
    dispatch = run_dispatch(nats.url, postgres.dsn(database), directory, key, within, **settings)
    yield dispatch
    dispatch.process.terminate()
    assert dispatch.process.wait(30) == 0
    log = dispatch.log.read_text()
    assert "Traceback" not in log
    assert "s3cr3t" not in log


@pytest.fixture(scope="module")
def dispatch(
    module_nats_server: NatsServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatch]:
    yield from running(module_nats_server, postgres_server, tmp_path_factory.mktemp("forbidden"), [])


@pytest.fixture(scope="module")
def asking(
    module_nats_server: NatsServer,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    names: NameServer,
) -> Iterator[Dispatch]:
    """A dispatch that asks our name server."""
    yield from running(module_nats_server, postgres_server, tmp_path_factory.mktemp("asking"), names.within)


async def recorded(dispatch: Dispatch, nats: NatsServer) -> str:
    """A task that is being recorded."""
    task_id: str = dispatch.act("Start", RecordURL=PUBLIC)["TaskID"]
    async with open_log(nats.url, "test") as log:
        for command in (commands.Claim("r-1"), commands.ReportStarted(1, datetime.now(UTC))):
            await log.execute(task_id, command, Cause("test"))
    return task_id


def assert_refused(dispatch: Dispatch, task_id: str, url: str) -> None:
    """Everywhere that a caller may name it."""
    for field, action, data in (
        ("RecordURL", "Start", {"RecordURL": url}),
        ("CallbackURL", "Start", {"RecordURL": PUBLIC, "CallbackURL": url}),
        ("RecordURL", "Refresh", {"TaskID": task_id, "RecordURL": url}),
    ):
        answer = dispatch.act(action, **data)
        assert answer.get("ErrorCode") == "InvalidParam", (action, field, url)
        assert field in answer["ErrorMessage"]


async def test_no_forbidden_url_is_accepted(dispatch: Dispatch, module_nats_server: NatsServer) -> None:
    task_id = await recorded(dispatch, module_nats_server)
    before = dispatch.act("List")
    for url in forbidden_urls():
        assert_refused(dispatch, task_id, url)
    assert dispatch.act("List") == before
    refreshed = dispatch.act("Refresh", TaskID=task_id, RecordURL=PUBLIC)
    assert "ErrorCode" not in refreshed, "it was not the URL that was refused"


async def test_no_name_of_a_forbidden_address_is_accepted(
    asking: Dispatch, module_nats_server: NatsServer, names: NameServer
) -> None:
    names.names |= {name: [answer] for name, answer in FORBIDDEN_NAMES.items()}
    task_id = await recorded(asking, module_nats_server)
    for name in FORBIDDEN_NAMES:
        assert_refused(asking, task_id, f"http://user:s3cr3t@{name}/?token=s3cr3t")
    assert set(FORBIDDEN_NAMES) <= set(names.asked)


def test_a_name_is_asked_for_each_time(asking: Dispatch, names: NameServer) -> None:
    names.names["turning.test"] = ["8.8.8.8", "10.0.0.1 8.8.8.8", "10.0.0.1"]
    answers = [asking.act("Start", RecordURL="http://turning.test/") for _ in range(3)]
    assert ["TaskID" in answer for answer in answers] == [True, True, False]


def test_a_name_that_is_not_known_yet_is_accepted(asking: Dispatch) -> None:
    """Whoever records it asks again."""
    assert "TaskID" in asking.act("Start", RecordURL="http://missing.test/")


def test_a_silent_name_server_holds_up_nobody(asking: Dispatch, names: NameServer) -> None:
    urls = [f"http://silent-{number}.test/" for number in range(2 * LOOK_UPS)]
    names.names |= {f"silent-{number}.test": [SILENCE] for number in range(len(urls))}
    with ThreadPoolExecutor(len(urls)) as callers:
        answers = list(callers.map(lambda url: asking.act("Start", RecordURL=url), urls))
        threads = psutil.Process(asking.process.pid).num_threads()
    assert all("TaskID" in answer for answer in answers)
    assert threads < LOOK_UPS + 40, "those of asyncio and Postgres aside"
