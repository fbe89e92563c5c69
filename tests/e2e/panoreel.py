"""Panoreel as its users meet it: the command line and the HTTP API."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from panoreel.signing.client import Credentials, Request, sign

PANOREEL = Path(sys.executable).with_name("panoreel")


@dataclass(frozen=True)
class Recorded:
    """The outcome of `panoreel record --json`."""

    exit_code: int
    answer: dict[str, Any]
    stderr: str
    file: Path

    @property
    def events(self) -> list[str]:
        """The types of the task's events, in order."""
        return [event["Type"] for event in self.answer["events"]]

    def event_time_s(self, event_type: str) -> float:
        """When the first event of this type happened, in Unix seconds."""
        [time, *_] = [event["Time"] for event in self.answer["events"] if event["Type"] == event_type]
        return datetime.fromisoformat(time).timestamp()


@dataclass(frozen=True)
class Panoreel:
    """A running stack."""

    data: Path
    endpoints: dict[str, Any]

    def act(self, action: str, **data: Any) -> dict[str, Any]:
        """One request of the action API."""
        return self._send("POST", "/record", json.dumps({"Action": action, "Data": data}).encode())

    def try_act(self, action: str, **data: Any) -> dict[str, Any]:
        """One request of the action API, which may be down: then an answer with an error code."""
        try:
            return self.act(action, **data)
        except httpx.TransportError as error:
            return {"ErrorCode": "Unreachable", "ErrorMessage": str(error)}

    def record(self, url: str, out: Path, *options: str) -> Recorded:
        """Run `panoreel record` against this stack."""
        return record(url, out, "--data-dir", str(self.data), *options)

    def await_task(
        self, task_id: str, until: Callable[[dict[str, Any]], bool], timeout_s: float = 60
    ) -> dict[str, Any]:
        """Describe the task until it is as wanted."""
        deadline = time.monotonic() + timeout_s
        while not until(task := self.act("Describe", TaskID=task_id)):
            assert time.monotonic() < deadline, f"in vain: {task}"
            time.sleep(0.1)
        return task

    def events(self, task_id: str) -> list[dict[str, Any]]:
        """The task's history."""
        history: list[dict[str, Any]] = self._send("GET", f"/tasks/{task_id}/events")["Events"]
        return history

    def _send(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """A signed request; its answer, be it an error of an action."""
        credentials = Credentials(self.endpoints["app_key"], self.endpoints["app_secret"])
        url = self.endpoints["api"] + path
        headers = sign(credentials, Request(method, url, body), datetime.now(UTC))
        answer = httpx.request(method, url, content=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content


def record(url: str, out: Path, *options: str) -> Recorded:
    """Run `panoreel record --json`."""
    done = subprocess.run(
        [PANOREEL, "record", url, "--out", out, "--json", *options],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout, done.stderr
    return Recorded(done.returncode, json.loads(done.stdout), done.stderr, out)
