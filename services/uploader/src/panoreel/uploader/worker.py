"""What the uploader does: it ships what was packaged, says so in the log, then removes the local copies."""

import asyncio
import threading
import time
from collections.abc import Callable

import structlog

from panoreel.blobs.errors import BlobNotFound
from panoreel.blobs.keys import outputs_prefix, segments_prefix
from panoreel.blobs.shared import open_shared
from panoreel.blobs.store import Blobs
from panoreel.contracts.commands import ReportUploaded
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure, Output, OutputsUploaded, UploadFailed, Video
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import reacting
from panoreel.eventlog.topology import UPLOADER
from panoreel.uploader import s3
from panoreel.uploader.errors import StoreError, StoreRefused
from panoreel.uploader.names import Place, place_of
from panoreel.uploader.settings import UploaderSettings

SERVICE = "uploader"

_logger = structlog.get_logger()


async def work(settings: UploaderSettings, ready: Callable[[], None]) -> None:
    """Ship until cancelled.

    Raises:
        BlobsUnavailable: the blob store cannot be used.
    """
    nats_url = settings.nats_url.get_secret_value()
    async with open_log(nats_url, SERVICE) as log:
        uploader = Uploader(settings, log, await open_shared(log, settings.blobs_dir))
        async with reacting(nats_url, SERVICE, UPLOADER, uploader.ship, uploader.give_up):
            ready()
            await asyncio.Event().wait()


class Uploader:
    """Ships the outputs of one task at a time."""

    def __init__(self, settings: UploaderSettings, log: EventLog, blobs: Blobs) -> None:
        self._settings = settings
        self._log = log
        self._blobs = blobs

    async def ship(self, packaged: StoredEvent) -> None:
        """React to `outputs_packaged`, as often as it is delivered.

        Raises:
            Permanent: the store will never take a file.
            Transient: it may do so later.
        """
        task, _ = await self._log.load(packaged.task_id)
        if task and task.phase == Phase.UPLOAD:
            videos = [await self._store(task, number) for number in range(len(task.outputs))]
            stored = ReportUploaded(OutputsUploaded(videos=tuple(videos)))
            task = (await self._log.execute(task.task_id, stored, packaged.cause(SERVICE))).task
        # An upload that failed has no finish time, and its files are kept.
        if task and task.finish_time:
            await asyncio.to_thread(self._remove_local_copies, task.task_id)

    async def give_up(self, packaged: StoredEvent, failure: Failure) -> None:
        """Tell the user what the store said, and where the files are."""
        task, _ = await self._log.load(packaged.task_id)
        kept = ", ".join(output.blob_key for output in task.outputs) if task else ""
        where = f"; the file is kept as {kept}" if kept else ""
        message = f"video upload failed({failure.message}){where}"
        failed = ReportUploaded(UploadFailed(failure=Failure(code=failure.code, message=message)))
        await self._log.execute(packaged.task_id, failed, packaged.cause(SERVICE))

    async def _store(self, task: Task, number: int) -> Video:
        output = task.outputs[number]
        cancelled = threading.Event()
        try:
            place = place_of(task, number, self._settings)
            await asyncio.to_thread(self._store_blob, output, place, cancelled)
        except (StoreRefused, ValueError) as error:
            raise Permanent("InternalError", str(error)) from error
        except (StoreError, BlobNotFound) as error:
            raise Transient(str(error)) from error
        finally:
            cancelled.set()
        return Video(filename=place.filename, bytes=output.bytes, duration_s=output.duration_s, url=place.url)

    def _store_blob(self, output: Output, place: Place, cancelled: threading.Event) -> None:
        began = time.monotonic()
        with s3.connected(self._settings, place) as client:
            s3.store(client, place, self._blobs.get(output.blob_key), output.sha256, cancelled)
        seconds = round(time.monotonic() - began, 3)
        _logger.info("stored", bucket=place.bucket, key=place.key, bytes=output.bytes, seconds=seconds)

    def _remove_local_copies(self, task_id: str) -> None:
        self._blobs.delete_prefix(outputs_prefix(task_id))
        self._blobs.delete_prefix(segments_prefix(task_id))
