"""What the uploader does: it ships what was packaged, says so in the log, then removes the blobs."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from panoreel.blobs import s3
from panoreel.blobs.errors import BlobNotFound, StorageMissing, StoreError, StoreRefused
from panoreel.blobs.keys import outputs_prefix, segments_prefix
from panoreel.blobs.places import StoreAccess
from panoreel.blobs.shared import BlobStores, open_shared
from panoreel.blobs.store import Blobs
from panoreel.contracts.commands import ReportUploaded
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure, Output, OutputsUploaded, UploadFailed, Video
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import reacting
from panoreel.eventlog.topology import UPLOADER
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
        uploader = Uploader(settings, log, await open_shared(log, settings))
        async with reacting(nats_url, SERVICE, UPLOADER, uploader.ship, uploader.give_up):
            ready()
            await asyncio.Event().wait()


class Uploader:
    """Ships the outputs of one task at a time."""

    def __init__(self, settings: UploaderSettings, log: EventLog, stores: BlobStores) -> None:
        self._settings = settings
        self._log = log
        self._stores = stores

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
            blobs = await self._blobs_of(task)
            for prefix in (outputs_prefix(task.task_id), segments_prefix(task.task_id)):
                await asyncio.to_thread(blobs.delete_prefix, prefix)

    async def give_up(self, packaged: StoredEvent, failure: Failure) -> None:
        """Tell the user what the store said, and where the files are."""
        task, _ = await self._log.load(packaged.task_id)
        kept = ", ".join(output.blob_key or "" for output in task.outputs) if task else ""
        where = f"; the file is kept as {kept}" if kept else ""
        message = f"video upload failed({failure.message}){where}"
        failed = ReportUploaded(UploadFailed(failure=Failure(code=failure.code, message=message)))
        await self._log.execute(packaged.task_id, failed, packaged.cause(SERVICE))

    async def _store(self, task: Task, number: int) -> Video:
        output = task.outputs[number]
        blobs = await self._blobs_of(task)
        cancelled = threading.Event()
        try:
            place = place_of(task, number, self._settings)
            await asyncio.to_thread(self._store_blob, blobs, output, place, cancelled)
        except (StoreRefused, ValueError) as error:
            raise Permanent("InternalError", str(error)) from error
        except StoreError as error:
            raise Transient(str(error)) from error
        finally:
            cancelled.set()
        return Video(filename=place.filename, bytes=output.bytes, duration_s=output.duration_s, url=place.url)

    def _store_blob(self, blobs: Blobs, output: Output, place: Place, cancelled: threading.Event) -> None:
        began = time.monotonic()
        with _fetched(blobs, output.blob_key or "") as file, s3.connected(self._access(place)) as client:
            s3.store(client, place, file, output.sha256 or "", cancelled)
        seconds = round(time.monotonic() - began, 3)
        _logger.info("stored", bucket=place.bucket, key=place.key, bytes=output.bytes, seconds=seconds)

    async def _blobs_of(self, task: Task) -> Blobs:
        try:
            return await self._stores.of(task.storage_type)
        except StorageMissing as error:
            raise Permanent("InternalError", str(error)) from error

    def _access(self, place: Place) -> StoreAccess:
        return StoreAccess(
            endpoint=place.endpoint,
            region=place.region,
            access_key=self._settings.s3_access_key,
            secret_key=self._settings.s3_secret_key,
            addressing_style=self._settings.s3_addressing_style,
        )


@contextmanager
def _fetched(blobs: Blobs, key: str) -> Iterator[Path]:
    """The packaged file. Where it rests, unlike where it goes, even a refusal is for the operator to mend."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(blobs.fetch(key))
        except (OSError, BlobNotFound) as error:
            raise Transient(str(error)) from error
        yield file
