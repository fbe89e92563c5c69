"""The embedded stack with its real servers: start, stop, kill, start again."""

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import boto3
import httpx
import nats
import psutil
import pytest
from botocore.config import Config

from panoreel.local.datadir import DataDirectory, Endpoints

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCRIPT = Path(__file__).with_name("servers_only.py")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
DEATH_TIMEOUT_S = 5.0

Start = Callable[[], "Running"]


class Running:
    """A started stack, ready for use."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(data_dir)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.endpoints = self._await_endpoints()

    def _await_endpoints(self) -> Endpoints:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if endpoints := DataDirectory.at(self.data_dir).endpoints():
                return endpoints
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(self.process.communicate()[0])

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> str:
        """Send the signal and return what the stack had printed."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=STOP_TIMEOUT_S)
        return output


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def run() -> Running:
        started.append(Running(tmp_path / "data"))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def s3(endpoints: Endpoints) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=endpoints.s3,
        aws_access_key_id=endpoints.s3_access_key,
        aws_secret_access_key=endpoints.s3_secret_key,
        region_name=endpoints.s3_region,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


@asynccontextmanager
async def connected(endpoints: Endpoints) -> AsyncIterator[tuple[asyncpg.Connection, nats.NATS]]:
    database = await asyncpg.connect(endpoints.postgres)
    try:
        async with await nats.connect(endpoints.nats, allow_reconnect=False) as client:
            yield database, client
    finally:
        await database.close()


async def write_everywhere(endpoints: Endpoints) -> None:
    store = s3(endpoints)
    store.put_object(Bucket=endpoints.s3_bucket, Key="kept/clip.mp4", Body=b"media" * 1000)
    store.close()
    async with connected(endpoints) as (database, client):
        await database.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
        await client.jetstream().publish("kept", b"fact")


async def assert_all_kept(endpoints: Endpoints) -> None:
    answer = httpx.get(f"{endpoints.s3}/{endpoints.s3_bucket}/kept/clip.mp4", trust_env=False)
    assert answer.raise_for_status().content == b"media" * 1000
    async with connected(endpoints) as (database, client):
        assert await database.fetchval("SELECT answer FROM kept") == 42
        assert (await client.jetstream().get_msg("KEPT", seq=1)).data == b"fact"


def await_answer(endpoints: Endpoints) -> None:
    """Wait until NATS listens and the object store serves what it holds."""
    nats_port = httpx.URL(endpoints.nats).port
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        time.sleep(0.1)
        with suppress(OSError, httpx.HTTPError):
            socket.create_connection(("127.0.0.1", nats_port)).close()
            httpx.get(
                f"{endpoints.s3}/{endpoints.s3_bucket}/kept/clip.mp4", trust_env=False
            ).raise_for_status()
            return


def assert_no_socket_left(data_dir: Path) -> None:
    directory = DataDirectory.at(data_dir)
    assert not directory.run.exists()
    ports = json.loads((data_dir / "ports.json").read_text()).values()
    assert [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")] == []
    assert not (data_dir / "endpoints.json").exists()


async def test_a_stop_leaves_nothing_behind_and_a_restart_finds_the_data(start: Start) -> None:
    first = start()
    mode = (first.data_dir / "endpoints.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    await write_everywhere(first.endpoints)
    processes = first.processes()
    assert {"nats-server", "postgres", "weed"} <= {process.name() for process in processes}

    first.end(signal.SIGTERM)
    assert first.process.returncode == 0
    assert [process for process in processes if process.is_running()] == []
    assert_no_socket_left(first.data_dir)

    second = start()
    assert second.endpoints.s3 == first.endpoints.s3, "finished recordings would have lost their URL"
    await assert_all_kept(second.endpoints)


async def test_a_killed_stack_takes_its_servers_along_and_starts_again(start: Start) -> None:
    first = start()
    await write_everywhere(first.endpoints)
    processes = first.processes()
    first.end(signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=DEATH_TIMEOUT_S)
    assert alive == []
    assert DataDirectory.at(first.data_dir).endpoints() is None, (
        "the file is stale, and nobody holds the lock"
    )

    second = start()
    await assert_all_kept(second.endpoints)
    second.end(signal.SIGINT)
    assert_no_socket_left(second.data_dir)


async def test_only_loopback_is_listened_on_and_only_with_credentials(start: Start) -> None:
    endpoints = (running := start()).endpoints
    listening = [
        connection.laddr.ip
        for process in running.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(endpoints.postgres.replace("panoreel:", "panoreel:x"))
    # The client library leaks its socket when it is refused, so the protocol is spoken by hand.
    with socket.create_connection(("127.0.0.1", httpx.URL(endpoints.nats).port)) as connection:
        connection.sendall(b'CONNECT {"user": "panoreel", "pass": "wrong"}\r\nPING\r\n')
        assert "Authorization Violation" in connection.makefile().read()
    for url in (endpoints.s3, f"{endpoints.s3}/{endpoints.s3_bucket}?list-type=2"):
        assert httpx.get(url, trust_env=False).status_code == 403
    ports = json.loads((running.data_dir / "ports.json").read_text())
    for method, server, path in (
        ("POST", "filer", "/buckets/panoreel/forged"),
        ("GET", "filer", "/buckets/panoreel/"),
        ("GET", "volume", "/1,01"),
        ("GET", "master", "/col/delete?collection=panoreel"),
        ("GET", "master", "/dir/assign"),
        ("POST", "master", "/submit"),
    ):
        url = f"http://127.0.0.1:{ports[f'seaweed_{server}']}{path}"
        assert httpx.request(method, url, trust_env=False).status_code in (401, 404), url
    raw = f"{endpoints.s3}/{endpoints.s3_bucket}-raw/raw/segments/x/1/0.mp4"
    assert httpx.get(raw, trust_env=False).status_code == 403, "media on its way is nobody's to read"


async def test_a_server_that_dies_is_started_again_and_its_end_is_shown(start: Start) -> None:
    running = start()
    await write_everywhere(running.endpoints)
    killed = [process for process in running.processes() if process.name() in ("nats-server", "weed")]
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, timeout=DEATH_TIMEOUT_S)
    await_answer(running.endpoints)
    await assert_all_kept(running.endpoints)
    output = running.end(signal.SIGTERM)
    assert "nats died with signal SIGKILL; starting it again in 0.5 s" in output
    assert "seaweedfs died with signal SIGKILL" in output


async def test_a_second_signal_kills_and_still_leaves_nothing(start: Start) -> None:
    running = start()
    processes = running.processes()
    next(process for process in processes if process.name() == "nats-server").suspend()
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    asked = time.monotonic()
    output = running.end(signal.SIGTERM)
    assert time.monotonic() - asked < 8, "a program that does not hear is given 10 s when it is let"
    assert "died" not in output
    assert [process for process in processes if process.is_running()] == []
    assert_no_socket_left(running.data_dir)


def test_a_second_stack_on_the_same_directory_is_refused_and_told_whose_it_is(start: Start) -> None:
    running = start()
    second = subprocess.run(
        [sys.executable, str(SCRIPT), str(running.data_dir)], capture_output=True, text=True
    )
    assert second.returncode == 1
    assert f"in use by the panoreel stack of process {running.process.pid}" in second.stderr
    assert DataDirectory.at(running.data_dir).endpoints() == running.endpoints
