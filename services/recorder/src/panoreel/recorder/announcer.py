"""From the spool to the blob store and the manifest: a segment leaves the spool once both have it."""

import asyncio
from pathlib import Path

import stamina
import structlog

from panoreel.blobs.errors import BlobsUnavailable
from panoreel.blobs.keys import segment_key
from panoreel.blobs.shared import BlobStores
from panoreel.contracts.media import Segment, SegmentMedia
from panoreel.contracts.task import Task
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.segments import announce

_logger = structlog.get_logger()


async def publish(log: EventLog, stores: BlobStores, task: Task, path: Path, media: SegmentMedia) -> None:
    """Store and announce one sealed segment, however long blob store or broker stay away.

    Raises:
        StorageMissing: this recorder does not have the task's kind of storage.
    """
    key = segment_key(task.task_id, media.epoch, media.index)
    segment = Segment(task_id=task.task_id, blob_key=key, **media.model_dump())
    async for attempt in stamina.retry_context(
        on=(OSError, LogUnavailable, BlobsUnavailable),
        attempts=None,
        timeout=None,
        wait_initial=0.5,
        wait_max=5.0,
    ):
        with attempt:
            blobs = await stores.of(task.storage_type)
            await asyncio.to_thread(blobs.put, path, key)
            await announce(log, segment)
    await asyncio.to_thread(_remove, path)
    _logger.info("segment announced", task_id=task.task_id, epoch=media.epoch, index=media.index)


def _remove(path: Path) -> None:
    # The media first: a sidecar alone is no segment.
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
