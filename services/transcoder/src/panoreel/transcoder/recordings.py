"""What is known of the recordings that are being packaged: a cache of the streams, and nothing more."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from panoreel.contracts.media import Segment
from panoreel.contracts.outputs import OutputKind, Piece
from panoreel.contracts.task import Task
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import OutputFacts
from panoreel.eventlog.segments import Manifest
from panoreel.transcoder.pieces import Plan, PlannedPiece

KEPT: Final = 64
"""Of how many recordings what was read is kept in memory."""


class Recording:
    """One task's segments, what pieces they make, and which of these are packaged."""

    def __init__(self, log: EventLog, task: Task) -> None:
        interval_s = task.output.thumbnails.interval_s if task.output.thumbnails else 0
        self._manifest = Manifest(log, task.task_id)
        self._reading = asyncio.Lock()
        self._completed: dict[tuple[int, int], list[PlannedPiece]] = {}
        self._facts = {kind: OutputFacts(log, task.task_id, kind) for kind in _kinds(task)}
        self.plans = {kind: Plan(kind, interval_s) for kind in _kinds(task)}
        self.segments: dict[tuple[int, int], Segment] = {}
        """By epoch and index, in the order of their announcements."""

    async def refresh(self) -> None:
        """Read the announcements that are new; raises `LogUnavailable`."""
        async with self._reading:
            for segment in (await self._manifest.refresh())[len(self.segments) :]:
                place = segment.epoch, segment.index
                self.segments[place] = segment
                self._completed[place] = [
                    piece for plan in self.plans.values() for piece in plan.add(segment)
                ]

    async def completed_by(self, segment: Segment) -> Sequence[PlannedPiece]:
        """The pieces that this announcement completes; raises `LogUnavailable`."""
        place = segment.epoch, segment.index
        if place not in self.segments:
            await self.refresh()
        return self._completed.get(place, [])

    async def packaged(self, kind: OutputKind) -> list[Piece]:
        """The pieces of an output that are packaged, by their numbers; raises `LogUnavailable`."""
        facts = self._facts[kind]
        async with self._reading:
            await facts.refresh()
        return [piece for _, piece in sorted(facts.pieces.items())]


class Recordings:
    """Those that were last worked on."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._kept: OrderedDict[str, Recording] = OrderedDict()

    def known(self, task_id: str) -> Recording | None:
        """What is kept of a task."""
        return self._kept.get(task_id)

    def of(self, task: Task) -> Recording:
        """What is kept of a task, which may be nothing yet."""
        recording = self._kept.setdefault(task.task_id, Recording(self._log, task))
        self._kept.move_to_end(task.task_id)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return recording

    def forget(self, task_id: str) -> None:
        """Drop what is kept of a task."""
        self._kept.pop(task_id, None)


def _kinds(task: Task) -> list[OutputKind]:
    thumbnails: list[OutputKind] = ["sprites", "poster"]
    pictures = task.output.thumbnails and task.encoder.tracks != "audio"
    return [*task.output.muxers, *(thumbnails if pictures else [])]
