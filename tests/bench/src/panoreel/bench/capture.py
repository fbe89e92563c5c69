"""What recording a page costs, and what of the page is kept: our way and others', in turns."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from av.error import FFmpegError

from panoreel.bench import media, peers, recorder
from panoreel.bench.errors import RecordingFailed
from panoreel.bench.figures import medians
from panoreel.bench.processes import cpu_s
from panoreel.bench.site import Site
from panoreel.bench.smoothness import Shown

FPS: Final = 30
SETTLE_S: Final = 4.0
"""So long nothing is measured: pages load, encoders warm up."""

ALWAYS_DRAWN: Final = ("busy", "raf", "numbers")
"""Pages that draw a number in each frame, so that one that is missing can be told."""

NUMBERED: Final = (*ALWAYS_DRAWN, "slides")
"""Pages that draw numbers at all; of others nobody can tell what is missing."""


class Running(Protocol):
    """A recording under way."""

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are all of it."""

    async def finish(self) -> list[Path]:
        """End it; its files, none where nothing is recorded."""


@asynccontextmanager
async def _ours(site: Site, page: str) -> AsyncIterator[Running]:
    async with recorder.recording(site.url(page)) as recording:
        yield recording


def _open(way: str, site: Site, page: str) -> AbstractAsyncContextManager[Running]:
    return _ours(site, page) if way == "ours" else peers.WAYS[way](site, page)


async def measure(site: Site, page: str, seconds: float, ways: Sequence[str], rounds: int) -> dict[str, Any]:
    """For each way `{"cores", "fps", "dropped"}`, medians over the rounds, in which the ways take turns."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            found[way].append(await _round(way, site, page, seconds))
    return {way: medians(figures) for way, figures in found.items()}


async def _round(way: str, site: Site, page: str, seconds: float) -> dict[str, Any]:
    async with _open(way, site, page) as running:
        await asyncio.sleep(SETTLE_S)
        used, began = cpu_s(running.roots), time.monotonic()
        await asyncio.sleep(seconds)
        cores = (cpu_s(running.roots) - used) / (time.monotonic() - began)
        files = await running.finish()
        if way == "mediarecorder":
            await asyncio.to_thread(files[0].write_bytes, bytes(site.slices))
        try:
            counted = await asyncio.to_thread(count, files, seconds, page) if files else {}
        except FFmpegError as error:
            raise RecordingFailed(f"what {way} recorded cannot be read: {error}") from error
    return {"cores": round(cores, 3), "fps": None, "dropped": None} | counted


def count(files: Sequence[Path], seconds: float, page: str) -> dict[str, float | None]:
    """New pictures a second in the last `seconds`, and how many are missing at 30 a second.

    A picture is new if it shows another number than the one before. Where pages do not always draw, all
    pictures count, and what is missing is missing in the row of numbers; None if the page draws none.
    """
    numbered = page in NUMBERED
    shown = [(frame.time_s, media.number(frame.luma) if numbered else None) for frame in media.frames(files)]
    return kept(shown, seconds, page in ALWAYS_DRAWN)


def kept(shown: Shown, seconds: float, always_drawn: bool) -> dict[str, float | None]:
    """As `count`, of times in seconds with the numbers that were read there.

    Raises `RecordingFailed` without any.
    """
    if not shown:
        raise RecordingFailed("there is no picture in the recording")
    begin = shown[-1][0] - seconds
    pairs = [pair for pair in itertools.pairwise(shown) if pair[1][0] > begin]
    if always_drawn:
        new = sum(before != after for (_, before), (_, after) in pairs)
        return {"fps": round(new / seconds, 2), "dropped": max(0, round(FPS * seconds) - new)}
    seen = {number for _, (_, number) in pairs if number is not None}
    missing = max(seen) - min(seen) + 1 - len(seen) if seen else None
    return {"fps": round(len(pairs) / seconds, 2), "dropped": missing}
