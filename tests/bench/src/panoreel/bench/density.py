"""Many recordings at once on one machine: what they cost together, and whether each is still whole."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any, Final

from panoreel.bench import media, recorder
from panoreel.bench.memory import MEGABYTE
from panoreel.bench.processes import cpu_s, pss_bytes
from panoreel.bench.recorder import Recording
from panoreel.bench.site import Site, serve
from panoreel.bench.smoothness import smoothness

SETTLE_S: Final = 5.0


async def measure(like: Site, page: str, seconds: float, count: int) -> dict[str, Any]:
    """`count` recordings of the page, each from a site of its own: cores and memory of all, see `summary`."""
    async with AsyncExitStack() as stack:
        running: list[tuple[Site, Recording]] = []
        for _ in range(count):
            site = stack.enter_context(serve(like.media))
            running.append((site, await stack.enter_async_context(recorder.recording(site.url(page)))))
        roots = [root for _, recording in running for root in recording.roots]
        await asyncio.sleep(SETTLE_S)
        used, began = cpu_s(roots), time.monotonic()
        await asyncio.sleep(seconds)
        cores = (cpu_s(roots) - used) / (time.monotonic() - began)
        memory_mb = await asyncio.to_thread(pss_bytes, roots) / MEGABYTE
        await asyncio.gather(*(recording.finish() for _, recording in running))
        each = [await asyncio.to_thread(_read, site, recording) for site, recording in running]
    return {"recordings": count, "cores": round(cores, 3), "pss_mb": round(memory_mb)} | summary(each)


def _read(site: Site, recording: Recording) -> dict[str, Any]:
    assert recording.started is not None
    shown = [(frame.time_s, media.number(frame.luma)) for frame in media.frames(recording.files)]
    return smoothness(shown, site.drawn, recording.started.timestamp())


def summary(each: list[dict[str, Any]]) -> dict[str, Any]:
    """What all recordings have together, and the worst of each figure.

    `worst_present` is a share: 0 where a page told no number, but those of others did; None without numbers.
    """
    numbered = [one for one in each if one["expected"]]
    shares = [one["present"] / one["expected"] if one["expected"] else 0.0 for one in each]
    errors = [one["stamp_error_ms"]["absolute_p95"] for one in numbered if "stamp_error_ms" in one]
    return {
        "present": sum(one["present"] for one in numbered),
        "expected": sum(one["expected"] for one in numbered),
        "repeated": sum(one.get("repeated", 0) for one in numbered),
        "worst_present": round(min(shares), 4) if numbered else None,
        "worst_fps": min(one["fps"] for one in each),
        "worst_interval_p99_ms": max(one["interval_ms"]["p99"] for one in each),
        "worst_stamp_error_p95_ms": max(errors, default=None),
    }
