"""How long it takes from `Start` to the first frame, by the events of a whole stack."""

import time
from typing import Any, Final

from panoreel.bench.errors import RecordingFailed
from panoreel.bench.figures import percentiles
from panoreel.bench.site import Site
from panoreel.bench.stack import running_stack, times
from panoreel.client import Panoreel

KINDS: Final = {"warm": "1", "cold": "0"}
"""What is measured, and the recorder's setting for it: how many browsers it keeps ready."""

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
        with running_stack({"PANOREEL_WARM_RECORDINGS": warm_recordings}) as stack:
            deadline = time.monotonic() + seconds / len(KINDS)
            taken_ms = [_start_ms(stack.client, site.url(page))]
            while len(taken_ms) <= rounds and time.monotonic() < deadline:
                taken_ms.append(_start_ms(stack.client, site.url(page)))
        counting = taken_ms[1:] or taken_ms
        counts.append(len(counting))
        found[f"{kind}_ms"] = percentiles(counting, 50, 95, digits=0)
    return found | {"rounds": min(counts)}


def _start_ms(client: Panoreel, url: str) -> float:
    """Record briefly; milliseconds between the events `task_created` and `recording_started`."""
    time.sleep(WARM_UP_S)
    task_id = client.start(url)
    deadline = time.monotonic() + FRAME_TIMEOUT_S
    while "recording_started" not in (found := times(client, task_id)):
        if time.monotonic() > deadline or "recording_failed" in found:
            why = client.describe(task_id).result.error_message or "there is room for none"
            raise RecordingFailed(f"a task of the stack recorded nothing: {why}")
        time.sleep(0.05)
    client.stop(task_id)
    client.wait(task_id)
    return 1000 * (found["recording_started"] - found["task_created"])
