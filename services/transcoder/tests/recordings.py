"""Recordings in a real log, with real segments in a real blob store."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from panoreel.blobs.keys import segment_key
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts import commands, names
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Output, OutputRequest, StorageType, TaskCreated, ThumbnailRequest
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.task import Task
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import OutputFacts
from panoreel.eventlog.segments import announce

CAUSE = Cause("test")

EVERYTHING = OutputRequest(
    muxers=("mp4", "hls"), thumbnails=ThumbnailRequest(interval_s=2, width=64), target_name="film"
)


class Recording:
    """A task that is being recorded, by `transcoder` packaged at the same time, if there is one."""

    def __init__(self, log: EventLog, blobs: Blobs, task_id: str) -> None:
        self.log, self.blobs, self.task_id = log, blobs, task_id
        self.last_index: dict[int, int] = {}

    @classmethod
    async def begun(
        cls,
        log: EventLog,
        stores: BlobStores,
        output: OutputRequest = EVERYTHING,
        storage_type: StorageType = "cfs",
    ) -> "Recording":
        recording = cls(log, await stores.of(storage_type), f"task-{uuid4().hex}")
        created = TaskCreated(
            record_url="http://example.com/",
            secrets_key=recording.task_id,
            encoder=EncoderParameters(width=319, height=180),
            max_duration_s=60,
            storage_type=storage_type,
            output=output,
        )
        await log.execute(recording.task_id, commands.Create(created), CAUSE)
        await log.execute(recording.task_id, commands.Claim("recorder"), CAUSE)
        return recording

    async def announce(self, media: Sequence[Segment]) -> list[Segment]:
        """Store and announce segments, which belong to this task from now on."""
        told = []
        for segment in media:
            key = segment_key(self.task_id, segment.epoch, segment.index)
            await asyncio.to_thread(self.blobs.put, Path(segment.blob_key), key)
            told.append(segment.model_copy(update={"task_id": self.task_id, "blob_key": key}))
            await announce(self.log, told[-1])
        return told

    async def damage(self, segment: Segment) -> None:
        key = segment_key(self.task_id, segment.epoch, segment.index)
        content = bytearray(self.blobs.read(key))
        content[-100] ^= 1
        await asyncio.to_thread(self.blobs.put_bytes, bytes(content), key)

    async def stop(self, last_index: int | None) -> StoredEvent:
        await self.log.execute(self.task_id, commands.Stop("api"), CAUSE)
        outcome = await self.log.execute(self.task_id, commands.ReportStopped(1, last_index, 450), CAUSE)
        return outcome.appended[0]

    async def task(self) -> Task:
        task, _ = await self.log.load(self.task_id)
        assert task
        return task

    async def content(self, output: Output) -> dict[int, bytes]:
        """An output's pieces by their numbers, and -1 is what rests under its own key."""
        facts = OutputFacts(self.log, self.task_id, output.kind)
        await facts.refresh()
        found = {number: self.blobs.read(facts.pieces[number].blob_key) for number in output.pieces}
        if output.blob_key:
            found[-1] = self.blobs.read(output.blob_key)
        assert sum(map(len, found.values())) == output.bytes
        return found

    async def contents(self) -> dict[str, dict[int, bytes]]:
        """All outputs, as they would be of any other task: without the sign of this one in names."""
        sign = names.part("", self.task_id, "").encode()
        contents: dict[str, dict[int, bytes]] = {
            output.kind: await self.content(output) for output in (await self.task()).outputs
        }
        if sprites := contents.get("sprites"):
            sprites[-1] = sprites[-1].replace(sign, b"")
        return contents


def digests(contents: dict[str, dict[int, bytes]]) -> dict[str, dict[int, str]]:
    """The SHA-256 of each: what megabytes differ in, nobody would read."""
    return {
        kind: {number: sha256(content).hexdigest() for number, content in found.items()}
        for kind, found in contents.items()
    }
