"""How much a recorder takes on at once: as its settings, and what is measured, allow."""

import asyncio
import time
from typing import Final

import structlog

from panoreel.recorder.admission import Limits, refusal
from panoreel.recorder.machine import Meter
from panoreel.recorder.settings import RecorderSettings

LOOK_AGAIN_S: Final = 1.0
SILENCE_S: Final = 30.0
"""How long not to repeat why there is no room: under load that changes every other second."""

_logger = structlog.get_logger()


class Room:
    """Room for recordings, each a task that has been accepted."""

    def __init__(self, settings: RecorderSettings) -> None:
        self._limits = Limits(
            settings.max_recordings,
            settings.max_load,
            settings.cores_per_recording,
            settings.memory_per_recording_mib,
        )
        self._meter = Meter()
        self._taken: dict[asyncio.Task[None], float] = {}
        """Since when, in monotonic time."""
        self._left = asyncio.Event()
        self._told_at = float("-inf")

    async def available(self) -> None:
        """Wait until there is room for another recording; the log says why there is none."""
        while why := self._refusal():
            self._tell(why)
            self._left.clear()
            try:
                await asyncio.wait_for(self._left.wait(), LOOK_AGAIN_S)
            except TimeoutError:
                continue

    def take(self, recording: asyncio.Task[None]) -> None:
        """Have `recording` use room until it is done."""
        self._taken[recording] = time.monotonic()
        recording.add_done_callback(self._leave)

    def _leave(self, recording: asyncio.Task[None]) -> None:
        del self._taken[recording]
        self._left.set()

    def _refusal(self) -> str | None:
        now = time.monotonic()
        machine = self._meter.measure(now)
        return refusal(self._limits, machine, [now - since for since in self._taken.values()])

    def _tell(self, why: str) -> None:
        now = time.monotonic()
        if now - self._told_at > SILENCE_S:
            _logger.info("no room for another recording", why=why, recordings=len(self._taken))
            self._told_at = now
