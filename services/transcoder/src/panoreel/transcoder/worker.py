"""What the transcoder does: when a recording has stopped, it joins what was recorded into the result file."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from panoreel.blobs.errors import StorageMissing
from panoreel.blobs.keys import output_key
from panoreel.blobs.shared import BlobStores, open_shared
from panoreel.blobs.store import Blobs
from panoreel.contracts.commands import ReportPackaged
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import (
    Failure,
    GapRecorded,
    Output,
    OutputsPackaged,
    PackagingFailed,
    RecordingStopped,
)
from panoreel.contracts.media import Segment
from panoreel.contracts.task import Phase, Task
from panoreel.contracts.timeline import Timeline, arrange, pauses
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import reacting
from panoreel.eventlog.segments import manifest
from panoreel.eventlog.topology import TRANSCODER
from panoreel.transcoder.errors import PackagingError
from panoreel.transcoder.settings import TranscoderSettings

SERVICE: Final = "transcoder"
RESULT_NAME: Final = "recording.mp4"

LATE_SEGMENTS: Final = timedelta(seconds=60)
"""How long a segment that `recording_stopped` counts may still be on its way before it is taken for lost."""

_logger = structlog.get_logger()


async def work(settings: TranscoderSettings, ready: Callable[[], None]) -> None:
    """Package until cancelled.

    Raises:
        BlobsUnavailable: the blob store cannot be used.
    """
    nats_url = settings.nats_url.get_secret_value()
    async with open_log(nats_url, SERVICE) as log:
        transcoder = Transcoder(log, await open_shared(log, settings))
        async with reacting(nats_url, SERVICE, TRANSCODER, transcoder.package, transcoder.give_up):
            ready()
            await asyncio.Event().wait()


class Transcoder:
    """Packages one recording at a time."""

    def __init__(self, log: EventLog, stores: BlobStores) -> None:
        self._log = log
        self._stores = stores

    async def package(self, stopped: StoredEvent) -> None:
        """React to `recording_stopped`, as often as it is delivered.

        Raises:
            Transient: segments are still on their way.
            Permanent: what was recorded cannot be joined.
        """
        assert isinstance(stopped.event, RecordingStopped)
        task, _ = await self._log.load(stopped.task_id)
        if task is None or task.phase != Phase.TRANSCODE:
            return
        segments = await manifest(self._log, task.task_id)
        _check_complete(stopped.event, segments, datetime.now(UTC) - stopped.envelope.time)
        history = [stored async for stored in self._log.history(task.task_id)]
        told = [stored.event for stored in history if isinstance(stored.event, GapRecorded)]
        timeline = arrange(segments, pauses(history), told)
        outputs: tuple[Output, ...] = ()
        if timeline.stretches:
            blobs = await self._blobs_of(task)
            outputs = (await asyncio.to_thread(_join, blobs, task.task_id, timeline),)
        packaged = ReportPackaged(OutputsPackaged(outputs=outputs, gaps=timeline.gaps))
        await self._log.execute(task.task_id, packaged, stopped.cause(SERVICE))

    async def give_up(self, stopped: StoredEvent, failure: Failure) -> None:
        """Tell the user why there is no file; the segments are kept."""
        message = f"video transcode failed({failure.message}); the segments are kept"
        failed = PackagingFailed(failure=Failure(code=failure.code, message=message))
        await self._log.execute(stopped.task_id, ReportPackaged(failed), stopped.cause(SERVICE))

    async def _blobs_of(self, task: Task) -> Blobs:
        try:
            return await self._stores.of(task.storage_type)
        except StorageMissing as error:
            raise Permanent("InternalError", str(error)) from error


def _join(blobs: Blobs, task_id: str, timeline: Timeline) -> Output:
    # Imported here: the media libraries would slow down every start.
    from panoreel.transcoder.join import join

    key = output_key(task_id, RESULT_NAME)
    with blobs.scratch() as result:
        try:
            joined = join(timeline, lambda segment: blobs.read(segment.blob_key), result)
        except PackagingError as error:
            raise Permanent("InternalError", str(error)) from error
        blobs.put(result, key)
    _logger.info("packaged", task_id=task_id, bytes=joined.bytes, duration_s=joined.duration_s)
    return Output(
        blob_key=key,
        bytes=joined.bytes,
        sha256=joined.sha256,
        duration_s=joined.duration_s,
        frames=joined.frames,
    )


def _check_complete(stopped: RecordingStopped, segments: list[Segment], age: timedelta) -> None:
    announced = {(segment.epoch, segment.index) for segment in segments}
    missing = [
        (epoch, index)
        for epoch, last_index in stopped.last_index.items()
        for index in range(last_index + 1)
        if (epoch, index) not in announced
    ]
    if not missing:
        return
    if age < LATE_SEGMENTS:
        raise Transient(f"{len(missing)} segments are not announced yet, the first is {missing[0]}")
    _logger.warning("segments are lost", missing=missing)
