"""Dispatch as a process, for tests that speak to it over HTTP."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers.ports import free_ports

URL = "http://127.0.0.1:1/class?token=hunter2#part"


@dataclass
class Dispatch:
    """A running dispatch."""

    process: subprocess.Popen[bytes]
    url: str
    dsn: str
    key: str
    log: Path

    def act(self, action: str, **data: Any) -> dict[str, Any]:
        # To load certificates, which plain HTTP does not need, takes longer than the request.
        answer = httpx.post(f"{self.url}/record", json={"Action": action, "Data": data}, verify=False)
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        assert answer.headers["X-Api-RequestId"] == body.pop("RequestID")
        return body

    def start(self, **data: Any) -> str:
        task_id: str = self.act("Start", RecordURL=URL, **data)["TaskID"]
        return task_id


def run_dispatch(
    nats_url: str, dsn: str, directory: Path, key: str, within: Sequence[str] = (), **settings: str
) -> Dispatch:
    port = free_ports(1)[0]
    ready = directory / "ready"
    log = directory / "dispatch.log"
    environment = {
        "PANOREEL_NATS_URL": nats_url,
        "PANOREEL_POSTGRES_DSN": dsn,
        "PANOREEL_SECRET_KEYS": json.dumps([key]),
        "PANOREEL_PORT": str(port),
        "PANOREEL_ALLOWED_NETWORKS": '["127.0.0.0/8", "::1/128"]',
        "PANOREEL_READY_FILE": str(ready),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *within, sys.executable, "-m", "panoreel.dispatch"],
            env=os.environ | environment | settings,
            stderr=output,
        )
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return Dispatch(process, f"http://127.0.0.1:{port}", dsn, key, log)
