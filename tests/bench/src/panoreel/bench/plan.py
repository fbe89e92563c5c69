"""All that is measured in one go, and for how long."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from panoreel.bench import (
    capture,
    density,
    finish,
    memory,
    peers,
    picture,
    size,
    smoothness,
    sound,
    start,
    sync,
)
from panoreel.bench.site import Site

Step = Callable[[Site, Mapping[str, int]], Coroutine[Any, Any, dict[str, Any]]]

SECONDS: Final = {
    "capture": 12,
    "smoothness": 60,
    "sync": 90,
    "sound": 75,
    "memory": 180,
    "density": 30,
    "bytes": 30,
}
LONG_SECONDS: Final = SECONDS | {
    "capture": 30,
    "smoothness": 120,
    "sync": 600,
    "sound": 600,
    "memory": 1200,
    "density": 120,
}
"""How long each of a kind is recorded, usually and when there is time."""

CAPTURE_ROUNDS: Final = 2
STARTS: Final = 8
STARTS_S: Final = 600
AT_ONCE: Final = 16
FINISH_MINUTES: Final = (1, 60)
FINISHES: Final = 3


def _capture(page: str) -> Step:
    async def step(site: Site, seconds: Mapping[str, int]) -> dict[str, Any]:
        for way in peers.WAYS:
            peers.require(way)
        ways = ("ours", *peers.WAYS)
        figures = await capture.measure(site, page, seconds["capture"], ways, CAPTURE_ROUNDS)
        return {"page": page, "seconds": seconds["capture"], "rounds": CAPTURE_ROUNDS, **figures}

    return step


async def _start(site: Site, seconds: Mapping[str, int]) -> dict[str, Any]:
    return await asyncio.to_thread(start.measure, site, "slides", STARTS, STARTS_S)


async def _finish(site: Site, seconds: Mapping[str, int]) -> dict[str, Any]:
    return await asyncio.to_thread(finish.measure, FINISH_MINUTES, finish.MUXERS, FINISHES)


def page(name: str) -> str:
    """The page of a step, where it matters."""
    return "busy" if name == "memory" else name.rpartition(".")[2]


def bound(name: str, seconds: Mapping[str, int]) -> Callable[[Site], Coroutine[Any, Any, dict[str, Any]]]:
    """A step that knows how long it lasts."""
    return lambda site: STEPS[name](site, seconds)


STEPS: Final[Mapping[str, Step]] = {
    "capture.busy": _capture("busy"),
    "capture.slides": _capture("slides"),
    "smoothness.numbers": lambda site, s: smoothness.measure(site, "numbers", s["smoothness"]),
    "smoothness.raf": lambda site, s: smoothness.measure(site, "raf", s["smoothness"]),
    "sync.sync": lambda site, s: sync.measure(site, "sync", s["sync"]),
    "sync.sync-script": lambda site, s: sync.measure(site, "sync-script", s["sync"]),
    "sound": lambda site, s: sound.measure(site, "sine", s["sound"]),
    "picture": lambda site, s: picture.measure(site, "text", picture.SHOWN_S),
    "start": _start,
    "finish": _finish,
    "memory": lambda site, s: memory.measure(site, "busy", s["memory"]),
    "density": lambda site, s: density.measure(site, "slides", s["density"], AT_ONCE),
    "bytes.busy": lambda site, s: size.measure(site, "busy", s["bytes"]),
    "bytes.slides": lambda site, s: size.measure(site, "slides", s["bytes"]),
}
"""What is measured, by the place of its figures in the results."""
