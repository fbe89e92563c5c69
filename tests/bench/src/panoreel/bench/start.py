"""How long it takes from `Start` to the first frame, by the events of a whole stack."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from panoreel.bench.errors import BenchError, RecordingFailed
from panoreel.bench.figures import percentiles
from panoreel.bench.site import Site
from panoreel.client import Panoreel

KINDS: Final = {"warm": "1", "cold": "0"}
"""What is measured, and the recorder's setting for it: how many browsers it keeps ready."""

STACK_TIMEOUT_S: Final = 60.0
FRAME_TIMEOUT_S: Final = 60.0
WARM_UP_S: Final = 9.0
"""Between two starts: a browser for the next is made ready, not before the one under way has settled."""


def measure(site: Site, page: str, rounds: int, seconds: float) -> dict[str, Any]:
    """`{"warm_ms": {"p50", "p95"}, "cold_ms": …, "rounds"}`: a stack each, recordings one after the other.

    None is started after `seconds`, half of them for each stack. The first one warms disks and caches up, and
    counts only if there is time for no other.
    """
    found: dict[str, Any] = {}
    counts = []
    for kind, warm_recordings in KINDS.items():
        with _stack({"PANOREEL_WARM_RECORDINGS": warm_recordings}) as client:
            deadline = time.monotonic() + seconds / len(KINDS)
            taken_ms = [_start_ms(client, site.url(page))]
            while len(taken_ms) <= rounds and time.monotonic() < deadline:
                taken_ms.append(_start_ms(client, site.url(page)))
        counting = taken_ms[1:] or taken_ms
        counts.append(len(counting))
        found[f"{kind}_ms"] = percentiles(counting, 50, 95, digits=0)
    return found | {"rounds": min(counts)}


@contextmanager
def _stack(env: dict[str, str]) -> Iterator[Panoreel]:
    with tempfile.TemporaryDirectory(prefix="panoreel-bench-") as directory:
        data = Path(directory) / "data"
        up = [sys.executable, "-m", "panoreel.local", "up", "--data-dir", str(data), "--port", "0"]
        process = subprocess.Popen(up, stdout=subprocess.DEVNULL, env=os.environ | env)
        try:
            at = _endpoints(data / "endpoints.json", process)
            with Panoreel(at["api"], at["app_key"], at["app_secret"]) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _endpoints(file: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    deadline = time.monotonic() + STACK_TIMEOUT_S
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError("the stack did not start: is panoreel-local installed?")
        time.sleep(0.05)
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _start_ms(client: Panoreel, url: str) -> float:
    """Record briefly; milliseconds between the events `task_created` and `recording_started`."""
    time.sleep(WARM_UP_S)
    task_id = client.start(url)
    deadline = time.monotonic() + FRAME_TIMEOUT_S
    while "recording_started" not in (times := _times(client, task_id)):
        if time.monotonic() > deadline or "recording_failed" in times:
            why = client.describe(task_id).result.error_message or "there is room for none"
            raise RecordingFailed(f"a task of the stack recorded nothing: {why}")
        time.sleep(0.05)
    client.stop(task_id)
    client.wait(task_id)
    return 1000 * (times["recording_started"] - times["task_created"])


def _times(client: Panoreel, task_id: str) -> dict[str, float]:
    return {event.type: event.time.timestamp() for event in reversed(client.events(task_id))}
