"""Clips: tasks that are cut from another task's recording, which may still run."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from panoreel.blobs.errors import BlobNotFound, StorageMissing
from panoreel.blobs.keys import output_key
from panoreel.blobs.shared import BlobStores
from panoreel.blobs.store import Blobs
from panoreel.contracts.commands import ReportPackaged
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure, Output, OutputsPackaged, PackagingFailed
from panoreel.contracts.identifiers import public
from panoreel.contracts.task import Phase, Task
from panoreel.contracts.timeline import arrange
from panoreel.eventlog.errors import Permanent
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import media_in_file
from panoreel.transcoder.cut import Clip, RangeBeyondEnd, plan
from panoreel.transcoder.patience import tried_until_late
from panoreel.transcoder.splice import splice

SERVICE: Final = "transcoder"
CLIP_NAME: Final = "clip.mp4"

_logger = structlog.get_logger()


class Clips:
    """Cuts clips out of recordings."""

    def __init__(self, log: EventLog, stores: BlobStores) -> None:
        self._log = log
        self._stores = stores

    async def cut(self, created: StoredEvent) -> None:
        """React to `clip_created`, as often as it is delivered: the clip's media becomes one file.

        Raises:
            OSError, BlobsUnavailable, LogUnavailable: it cannot be read or stored now.
            Permanent: it cannot be cut from what is there, or could not be for too long.
        """
        with tried_until_late(datetime.now(UTC) - created.envelope.time):
            await self._cut(created)

    async def _cut(self, created: StoredEvent) -> None:
        task, _ = await self._log.load(created.task_id)
        if task is None or task.clip is None or task.phase != Phase.TRANSCODE:
            return
        recording, _ = await self._log.load(task.clip.task_id)
        timeline = arrange(await media_in_file(self._log, recording) if recording else [])
        if not timeline.stretches:
            raise _media_removed(task)
        try:
            clip = plan(timeline, task.clip.ranges)
            blobs = await self._stores.of(task.storage_type, anew=True)
        except RangeBeyondEnd as error:
            raise Permanent("InvalidRange", str(error)) from error
        except StorageMissing as error:
            raise Permanent("InternalError", str(error)) from error
        output = await asyncio.to_thread(_store, blobs, task, clip)
        packaged = ReportPackaged(OutputsPackaged(outputs=(output,)))
        await self._log.execute(task.task_id, packaged, created.cause(SERVICE))

    async def give_up(self, created: StoredEvent, failure: Failure) -> None:
        """Tell the user why there is no clip."""
        message = f"the clip could not be cut: {failure.message}"
        failed = PackagingFailed(failure=Failure(code=failure.code, message=message))
        await self._log.execute(created.task_id, ReportPackaged(failed), created.cause(SERVICE))


def _store(blobs: Blobs, task: Task, clip: Clip) -> Output:
    key = output_key(task.task_id, CLIP_NAME)
    with blobs.scratch() as file:
        try:
            spliced = splice(clip, lambda segment: blobs.read(segment.blob_key), task.encoder, file)
        except BlobNotFound as error:
            raise _media_removed(task) from error
        blobs.put(file, key)
    _logger.info("clip cut", task_id=task.task_id, bytes=spliced.bytes, duration_s=spliced.duration_s)
    return Output(
        blob_key=key,
        bytes=spliced.bytes,
        sha256=spliced.sha256,
        duration_s=spliced.duration_s,
        frames=spliced.frames,
    )


def _media_removed(task: Task) -> Permanent:
    recording = public(task.application, task.clip.task_id) if task.clip else ""
    message = (
        f"the media of task {recording} was removed, as it is some time after a recording was stored; "
        "cut clips before"
    )
    return Permanent("MediaExpired", message)
