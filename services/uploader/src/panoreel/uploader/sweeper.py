"""What is kept after a task has ended, and removed by age: any replica does it, as often as it likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from panoreel.blobs import multipart, s3
from panoreel.blobs.keys import outputs_prefix, segments_prefix
from panoreel.blobs.shared import BlobStores
from panoreel.contracts.task import MissingTask, Phase, Task
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import purge, tasks_with_media
from panoreel.eventlog.segments import manifest
from panoreel.uploader.names import backup_of, destination_of
from panoreel.uploader.settings import UploaderSettings

INTERVAL_S: Final = 600.0

ABANDONED: Final = timedelta(days=1)
"""Older than the longest recording; an upload that is removed all the same is sent again."""

_logger = structlog.get_logger()


@asynccontextmanager
async def sweeping(log: EventLog, stores: BlobStores, settings: UploaderSettings) -> AsyncIterator[None]:
    """Sweep now and then for as long as the context lasts."""
    sweeper = Sweeper(log, stores, settings)

    async def sweep() -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await sweeper.sweep()
            except Exception as error:  # noqa: BLE001 whatever it was, the next one comes soon
                _logger.warning("sweeping broke off", error=repr(error))

    running = asyncio.create_task(sweep())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def has_failed(task: Task) -> bool:
    """Whether a task has ended without its results being stored."""
    return task.phase >= Phase.CALLBACK and not task.finish_time


def is_due(task: Task, now: datetime, settings: UploaderSettings) -> bool:
    """Whether the media of a task is not to be kept any longer."""
    if task.finish_time:
        return now - task.finish_time >= timedelta(hours=settings.media_retention_h)
    age = now - (task.stop_time or task.create_time)
    return has_failed(task) and age >= timedelta(days=settings.failed_retention_days)


class Sweeper:
    """Removes media, what is known about it, and uploads that nobody will complete."""

    def __init__(self, log: EventLog, stores: BlobStores, settings: UploaderSettings) -> None:
        self._log = log
        self._stores = stores
        self._settings = settings

    async def sweep(self) -> list[str]:
        """Remove what has been kept for long enough; the ids of the tasks whose media that was."""
        swept = []
        for task_id in await tasks_with_media(self._log):
            try:
                if await self._sweep(task_id):
                    swept.append(task_id)
            except Exception as error:  # noqa: BLE001 others' media can be removed all the same
                _logger.warning("media stays", task_id=task_id, error=repr(error))
        return swept

    async def _sweep(self, task_id: str) -> bool:
        now = datetime.now(UTC)
        try:
            task, _ = await self._log.load(task_id)
        except MissingTask:
            task = None
        if task is None and not await self._is_forgotten(task_id, now):
            return False
        due = task is None or is_due(task, now, self._settings)
        if task and (due or has_failed(task)) and "mp4" in task.output.muxers and not task.output.vod:
            await asyncio.to_thread(self._abort_uploads, task, now - ABANDONED)
        if not due:
            return False
        for storage_type in (task.storage_type,) if task else self._stores.types:
            blobs = await self._stores.of(storage_type)
            for prefix in (outputs_prefix(task_id), segments_prefix(task_id)):
                await asyncio.to_thread(blobs.delete_prefix, prefix)
        await purge(self._log, task_id)
        _logger.info("media removed", task_id=task_id)
        return True

    async def _is_forgotten(self, task_id: str, now: datetime) -> bool:
        """Whether the log is without the task because of its age."""
        before = now - timedelta(days=self._settings.failed_retention_days)
        return all(segment.wall_time < before for segment in await manifest(self._log, task_id))

    def _abort_uploads(self, task: Task, begun_before: datetime) -> None:
        """Of its key, wherever the result may have gone: not of each that was begun anybody was told."""
        with suppress(ValueError):  # it names no place, so there is nothing
            target = destination_of(task, self._settings)
            for destination in filter(None, (target, backup_of(task, self._settings, refusal=""))):
                with s3.connected(destination.access) as client:
                    multipart.abort_unfinished(client, destination.result("mp4"), begun_before)
