"""How much memory a recording takes, and whether it takes ever more."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from panoreel.bench import recorder
from panoreel.bench.figures import slope
from panoreel.bench.processes import pss_bytes
from panoreel.bench.site import Site

MEGABYTE: Final = 1e6
EVERY_S: Final = 5.0
WARM_UP: Final = 1 / 4
"""The part of a run in which caches fill, which says nothing about growth."""


async def measure(site: Site, page: str, seconds: float) -> dict[str, Any]:
    """Of one recording of the page, see `growth`."""
    samples = []
    async with recorder.recording(site.url(page)) as recording:
        began = time.monotonic()
        while (now_s := time.monotonic() - began) < seconds:
            samples.append((now_s, await asyncio.to_thread(pss_bytes, recording.roots) / MEGABYTE))
            await asyncio.sleep(min(EVERY_S, seconds / 10))
    return growth(samples) | {"seconds": seconds}


def growth(samples: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Of times in seconds and PSS in megabytes: the extremes, and the growth after warm-up, by regression.

    `samples` come back as they are, for a plot.
    """
    end_s = samples[-1][0]
    settled = [(time_s, size) for time_s, size in samples if time_s >= end_s * WARM_UP]
    times, sizes = zip(*settled, strict=True)
    mean = sum(sizes) / len(sizes)
    return {
        "pss_mb": {"mean": round(mean, 1), "max": round(max(size for _, size in samples), 1)},
        "growth_percent_per_hour": round(100 * slope(times, sizes) * 3600 / mean, 2),
        "samples": [(round(time_s, 1), round(size, 1)) for time_s, size in samples],
    }
