"""Dispatch and the servers that it needs, with a disk that is waited for, as in earnest."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import running_server
from tests.servers.postgres import PostgresServer


@contextmanager
def running_dispatch() -> Iterator[Dispatch]:
    """A dispatch of its own, for as long as the context lasts."""
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
        dispatch = run_dispatch(nats.url, dsn, directory / "dispatch", key)
        stack.callback(dispatch.process.wait)
        stack.callback(dispatch.process.terminate)
        yield dispatch


def report(figures: Mapping[str, object]) -> None:
    """Print a benchmark's figures."""
    print(json.dumps(figures, indent=2))
