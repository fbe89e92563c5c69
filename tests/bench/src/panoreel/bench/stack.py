"""A whole stack of its own, for what is measured by the events of its tasks."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from panoreel.bench.errors import BenchError
from panoreel.client import Panoreel

START_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class Stack:
    """A stack that runs: who speaks to its API, its broker, its data, and its process."""

    client: Panoreel
    nats_url: str
    directory: Path
    process_id: int

    @contextmanager
    def recorder_held(self) -> Iterator[None]:
        """No task is claimed for as long as the context lasts: the recorder's process is stopped."""
        [recorder] = [
            child
            for child in psutil.Process(self.process_id).children()
            if "panoreel.recorder" in child.cmdline()
        ]
        recorder.suspend()
        try:
            yield
        finally:
            recorder.resume()


@contextmanager
def running_stack(env: Mapping[str, str]) -> Iterator[Stack]:
    """A stack with these settings, for as long as the context lasts.

    Raises:
        BenchError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="panoreel-bench-") as directory:
        data = Path(directory) / "data"
        up = [sys.executable, "-m", "panoreel.local", "up", "--data-dir", str(data), "--port", "0"]
        process = subprocess.Popen(up, stdout=subprocess.DEVNULL, env={**os.environ, **env})
        try:
            at = _endpoints(data / "endpoints.json", process)
            with Panoreel(at["api"], at["app_key"], at["app_secret"]) as client:
                yield Stack(client, at["nats"], data, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def times(client: Panoreel, task_id: str) -> dict[str, float]:
    """When each type of event happened first, in Unix seconds."""
    return {event.type: event.time.timestamp() for event in reversed(client.events(task_id))}


def _endpoints(file: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError("the stack did not start: is panoreel-local installed?")
        time.sleep(0.05)
    found: dict[str, str] = json.loads(file.read_text())
    return found
