"""Recordings as the transcoder packages them, piece by piece, without any media in them."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from panoreel.blobs.keys import output_key, segment_key
from panoreel.blobs.store import Blobs
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import (
    Failure,
    Output,
    OutputRequest,
    OutputsPackaged,
    PackagingFailed,
    StorageType,
    TaskCreated,
)
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.outputs import OutputKind, Piece
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import tell_once
from panoreel.eventlog.segments import announce

MIB = 1 << 20
PIECE_S = 6
PIECE_SAMPLES = PIECE_S * 48_000
CAUSE = Cause("test", correlation="request-1")


@dataclass
class Recording:
    """A task that is being recorded, and what was packaged of it."""

    log: EventLog
    blobs: Blobs
    task_id: str = field(default_factory=lambda: f"task-{uuid4().hex}")
    contents: dict[OutputKind, list[bytes]] = field(default_factory=dict)
    """Of each output its pieces; one is empty if nothing of it could be read."""
    heads: dict[OutputKind, bytes] = field(default_factory=dict)
    """Of each output what precedes its pieces, or is all of it."""

    async def create(
        self,
        output: OutputRequest | None = None,
        application: str = "",
        storage_type: StorageType = "cfs",
    ) -> None:
        """Take the task to where it is being recorded, with one segment."""
        created = TaskCreated(
            application=application,
            record_url="https://example.com/",
            secrets_key=self.task_id,
            encoder=EncoderParameters(width=1280, height=720),
            max_duration_s=60,
            storage_type=storage_type,
            output=output or OutputRequest(),
        )
        for command in (
            commands.Create(created),
            commands.Claim("recorder-1"),
            commands.ReportStarted(1, datetime.now(UTC)),
        ):
            await self.log.execute(self.task_id, command, CAUSE)
        await self.announce()

    async def announce(self) -> None:
        """Tell of the segment that all of it was recorded in."""
        key = segment_key(self.task_id, 1, 0)
        self.blobs.put_bytes(b"segment", key)
        segment = Segment(
            task_id=self.task_id,
            blob_key=key,
            epoch=1,
            index=0,
            bytes=7,
            sha256=sha256(b"segment").hexdigest(),
            first_pts=0,
            end_pts=540_000,
            first_sample=0,
            end_sample=PIECE_SAMPLES,
            frames=180,
            wall_time=datetime.now(UTC),
        )
        await announce(self.log, segment)

    async def package(self, output: OutputKind, size: int) -> Piece:
        """Package the next piece of an output."""
        number = len(self.contents.setdefault(output, []))
        content = os.urandom(size)
        self.contents[output].append(content)
        key = output_key(self.task_id, f"{output}/{number}")
        self.blobs.put_bytes(content, key)
        piece = Piece(
            task_id=self.task_id,
            output=output,
            number=number,
            blob_key=key,
            bytes=size,
            sha256=sha256(content).hexdigest(),
            segments=((1, number),),
            first_sample=number * PIECE_SAMPLES,
            samples=PIECE_SAMPLES,
            frames=180,
        )
        await tell_once(self.log, piece)
        return piece

    async def package_each(self, *pieces: tuple[OutputKind, int]) -> list[Piece]:
        """Package these, of which the sizes are given."""
        return [await self.package(output, size) for output, size in pieces]

    async def stop(self, **heads: int) -> StoredEvent:
        """End the recording and report its outputs: `heads` tells how long what precedes their pieces is."""
        for command in (commands.Stop("api"), commands.ReportStopped(1, 0, frames=180)):
            await self.log.execute(self.task_id, command, CAUSE)
        return await self.report(**heads)

    async def fail(self, failure: Failure) -> StoredEvent:
        """End the recording and report that it cannot be packaged."""
        for command in (
            commands.Stop("api"),
            commands.ReportStopped(1, 0, frames=180),
            commands.ReportPackaged(PackagingFailed(failure=failure)),
        ):
            outcome = await self.log.execute(self.task_id, command, CAUSE)
        return outcome.appended[-1]

    async def report(self, **heads: int) -> StoredEvent:
        """Report the outputs of what nobody records any more; `heads` as `stop`."""
        kinds: tuple[OutputKind, ...] = ("mp4", "hls", "sprites", "poster")
        outputs = [
            self._output(kind, heads.get(kind, 0)) for kind in kinds if kind in heads or kind in self.contents
        ]
        packaged = commands.ReportPackaged(OutputsPackaged(outputs=tuple(outputs)))
        return (await self.log.execute(self.task_id, packaged, CAUSE)).appended[-1]

    def _output(self, kind: OutputKind, head_bytes: int) -> Output:
        pieces = self.contents.get(kind, [])
        told: dict[str, Any] = {}
        if head_bytes:
            head = self.heads[kind] = os.urandom(head_bytes)
            told = {"blob_key": output_key(self.task_id, f"{kind}/head"), "sha256": sha256(head).hexdigest()}
            self.blobs.put_bytes(head, told["blob_key"])
        return Output(
            kind=kind,
            bytes=head_bytes + sum(map(len, pieces)),
            duration_s=PIECE_S * max(len(pieces), 1),
            frames=180,
            pieces=tuple(number for number, content in enumerate(pieces) if content),
            **told,
        )

    def whole(self, kind: OutputKind) -> bytes:
        """The file that an output makes."""
        return self.heads.get(kind, b"") + b"".join(self.contents.get(kind, []))

    async def task(self) -> Task:
        """What has become of it."""
        task, _ = await self.log.load(self.task_id)
        assert task
        return task

    async def reached(self, phase: Phase) -> bool:
        """Whether it has come so far."""
        return (await self.task()).phase >= phase
