"""Closing a recording: what is not packaged yet, is packaged, and pieces become outputs."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import GapRecorded, Output, OutputsPackaged
from panoreel.contracts.outputs import OutputKind, Piece
from panoreel.contracts.timeline import Timeline, arrange, pauses
from panoreel.transcoder import finishing
from panoreel.transcoder.errors import NothingReadable
from panoreel.transcoder.packing import Packer
from panoreel.transcoder.pieces import PlannedPiece
from panoreel.transcoder.recordings import Recording

AT_ONCE: Final = 4
"""How many pieces are made at once; each is held in memory."""


@dataclass(frozen=True)
class Closing:
    """A recording whose announcements are all there, or taken for lost; `history` are its task's events."""

    recording: Recording
    packer: Packer
    history: Sequence[StoredEvent]

    async def outputs(self) -> OutputsPackaged:
        """All that the task asks for, or nothing where nothing was recorded.

        Raises:
            PackagingError: an output never can be made.
            BlobNotFound, OSError, LogUnavailable: it cannot be made now.
        """
        planned = [piece for plan in self.recording.plans.values() for piece in (*plan.pieces, *plan.rest())]
        if not planned:
            return OutputsPackaged(outputs=())
        told = await self._packaged(planned)
        if "hls" in told:
            told = await self._packaged(await asyncio.to_thread(self._remnants, told["hls"], planned))
        muxers = self.packer.task.output.muxers
        timelines = [await asyncio.to_thread(self._timeline, told[muxer]) for muxer in muxers]
        if not all(timeline.stretches for timeline in timelines):
            raise NothingReadable
        shown: dict[OutputKind, Timeline] = dict(zip(muxers, timelines, strict=True))
        outputs = [
            await asyncio.to_thread(self._output, kind, pieces, shown.get(kind, timelines[0]))
            for kind, pieces in told.items()
            if pieces
        ]
        return OutputsPackaged(outputs=tuple(outputs), gaps=timelines[0].gaps)

    async def _packaged(self, pieces: Iterable[PlannedPiece]) -> dict[OutputKind, list[Piece]]:
        """All pieces of each output, by their numbers, when these are among them."""
        told = await self._told()
        known = {(kind, piece.number) for kind, found in told.items() for piece in found}
        missing = [piece for piece in pieces if (piece.output, piece.number) not in known]
        lanes = asyncio.Semaphore(AT_ONCE)

        async def package(piece: PlannedPiece) -> None:
            async with lanes:
                await self.packer.package(piece)

        try:
            async with asyncio.TaskGroup() as group:
                for piece in missing:
                    group.create_task(package(piece))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return await self._told() if missing else told

    async def _told(self) -> dict[OutputKind, list[Piece]]:
        return {kind: await self.recording.packaged(kind) for kind in self.recording.plans}

    def _timeline(self, pieces: Iterable[Piece]) -> Timeline:
        segments = self.recording.segments
        readable = {place for piece in pieces for place in piece.segments}
        told = [stored.event for stored in self.history if isinstance(stored.event, GapRecorded)]
        return arrange(
            [segments[place] for place in readable],
            pauses(self.history),
            told,
            [segment for place, segment in segments.items() if place not in readable],
        )

    def _remnants(self, pieces: list[Piece], planned: list[PlannedPiece]) -> list[PlannedPiece]:
        """What counts of HLS pieces of which the end does not, since another recorder had taken over by then.

        They become pieces of their own, after those that were `planned`.
        """
        places = self._timeline(pieces).places
        number = sum(1 for piece in planned if piece.output == "hls")
        found: list[PlannedPiece] = []
        for piece in pieces:
            shown = [place for place in piece.segments if place in places]
            if 0 < len(shown) < len(piece.segments):
                segments = tuple(self.recording.segments[place] for place in shown)
                found.append(PlannedPiece("hls", number + len(found), segments, places[shown[0]]))
        return found

    def _output(self, kind: OutputKind, pieces: list[Piece], timeline: Timeline) -> Output:
        task, blobs = self.packer.task, self.packer.blobs
        match kind:
            case "mp4":
                return finishing.mp4(task, blobs, pieces, timeline)
            case "hls":
                return finishing.hls(pieces, timeline)
            case "sprites":
                return finishing.sprites(task, blobs, pieces, timeline.samples)
            case "poster":
                return finishing.poster(pieces[0])
