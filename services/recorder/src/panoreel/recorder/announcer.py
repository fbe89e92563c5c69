"""From the spool to the blob store and the manifest: a segment leaves the spool once both have it."""

import asyncio
from pathlib import Path

import stamina
import structlog

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.keys import segment_key
from panoreel.contracts.media import Segment, SegmentMedia
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.segments import announce

_logger = structlog.get_logger()


async def publish(
    log: EventLog, blobs: DirectoryBlobs, task_id: str, path: Path, media: SegmentMedia
) -> None:
    """Store and announce one sealed segment, however long blob store or broker stay away."""
    key = segment_key(task_id, media.epoch, media.index)
    segment = Segment(task_id=task_id, blob_key=key, **media.model_dump())
    async for attempt in stamina.retry_context(
        on=(OSError, LogUnavailable), attempts=None, timeout=None, wait_initial=0.5, wait_max=5.0
    ):
        with attempt:
            await asyncio.to_thread(blobs.put, path, key)
            await announce(log, segment)
    await asyncio.to_thread(_remove, path)
    _logger.info("segment announced", task_id=task_id, epoch=media.epoch, index=media.index)


def _remove(path: Path) -> None:
    # The media first: a sidecar alone is no segment.
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
