"""Dispatch and the servers that it needs, with a disk that is waited for, as in earnest."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from panoreel.signing.client import Credentials
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import running_server
from tests.servers.postgres import PostgresServer

APPLICATION = "bench"
KEY = Credentials("bench", "s" * 40)
CALLERS: dict[str, Credentials | None] = {"unsigned": None, "signed": KEY}
"""How a benchmark asks: of a dispatch without keys, and of one with a key file, as `panoreel up` has it."""


@contextmanager
def running_dispatch(credentials: Credentials | None) -> Iterator[Dispatch]:
    """A dispatch of its own for as long as the context lasts, with a key file if there are credentials."""
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="panoreel-bench-"))
        stack.callback(shutil.rmtree, directory)
        for name in ("nats", "postgres", "dispatch"):
            (directory / name).mkdir()
        nats = stack.enter_context(running_server(directory / "nats"))
        postgres = PostgresServer(directory / "postgres", fsync=True)
        stack.callback(postgres.stop)
        postgres.start()
        dsn = postgres.dsn("postgres")
        key = Fernet.generate_key().decode()
        settings = _keys(directory / "keys.json", credentials) if credentials else {}
        dispatch = run_dispatch(nats.url, dsn, directory / "dispatch", key, **settings)
        stack.callback(dispatch.process.wait)
        stack.callback(dispatch.process.terminate)
        yield dispatch


def _keys(file: Path, credentials: Credentials) -> dict[str, str]:
    """Write a key file whose key is never held back; dispatch's settings for it."""
    entry = {"id": credentials.id, "secrets": [credentials.secret], "application": APPLICATION}
    file.write_text(json.dumps({"keys": [entry | {"rate_limit": 1_000_000}]}))
    file.chmod(0o600)
    return {"PANOREEL_KEY_FILE": str(file)}


def report(figures: Mapping[str, object], missed: list[str]) -> None:
    """Print a benchmark's figures, and end with 1 if it missed a target."""
    print(json.dumps(figures, indent=2))
    for sentence in missed:
        print(f"missed: {sentence}", file=sys.stderr)
    if missed:
        sys.exit(1)
