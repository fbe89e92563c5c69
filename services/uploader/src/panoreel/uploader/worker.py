"""What the uploader does: it ships pieces while a recording runs, and closes when all is packaged."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import structlog

from panoreel.blobs import s3
from panoreel.blobs.errors import (
    BlobsUnavailable,
    ForeignObject,
    StorageMissing,
    StoreError,
    StoreRefused,
)
from panoreel.blobs.keys import outputs_prefix, segments_prefix
from panoreel.blobs.shared import BlobStores, open_shared
from panoreel.contracts.commands import Rejected, ReportLive, ReportUploaded
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import (
    Failure,
    LivePublished,
    Output,
    OutputsUploaded,
    StoredFile,
    UploadFailed,
    Video,
)
from panoreel.contracts.outputs import OutputKind, Piece
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import following, reacting
from panoreel.eventlog.topology import LIVE_ENDS, SHIPPING, UPLOADER
from panoreel.uploader import files, manifest, mp4, vod
from panoreel.uploader.names import Destination, Place, backup_of, destination_of
from panoreel.uploader.packaged import Absent
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.shipment import Ledger, Shipment, at_once
from panoreel.uploader.sweeper import sweeping

SERVICE: Final = "uploader"
THREADS: Final = 48
"""Slow stores hold threads; so many, that those of other tasks need not wait."""

CLIENTS: Final = 16
"""So many stores are kept connected to."""

_logger = structlog.get_logger()


async def work(settings: UploaderSettings, ready: Callable[[], None]) -> None:
    """Ship until cancelled.

    Raises:
        BlobsUnavailable: the blob store cannot be used.
    """
    nats_url = settings.nats_url.get_secret_value()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "store"))
    async with open_log(nats_url, SERVICE) as log:
        stores = await open_shared(log, settings)
        uploader = Uploader(settings, log, stores)
        async with (
            reacting(nats_url, SERVICE, UPLOADER, uploader.close, uploader.give_up),
            reacting(nats_url, SERVICE, LIVE_ENDS, uploader.end_live, uploader.leave_live),
            following(nats_url, SERVICE, SHIPPING, Piece, uploader.ship),
            sweeping(log, stores, settings),
        ):
            ready()
            await asyncio.Event().wait()


class Uploader:
    """Ships the outputs of tasks, several at a time."""

    def __init__(self, settings: UploaderSettings, log: EventLog, stores: BlobStores) -> None:
        self._settings = settings
        self._log = log
        self._stores = stores
        self._ledger = Ledger(log)
        self._client = lru_cache(CLIENTS)(s3.connect)
        self._left: set[tuple[str, OutputKind]] = set()
        """Outputs of which this replica could not send a piece."""

    async def ship(self, piece: Piece) -> None:
        """React to a packaged piece, as often as it is told.

        What cannot be stored is not told again, for the pieces of one bad store would soon keep all others
        waiting: it is sent after the next piece of its output that can be, or at the close.

        Raises:
            LogUnavailable: it is to be told again later.
        """
        task, _ = await self._log.load(piece.task_id)
        if task is None or task.phase >= Phase.UPLOAD or task.output.vod:
            return
        try:
            shipment = await self._shipment(task, destination_of(task, self._settings))
            await self._ship(shipment, piece)
        except ValueError:
            return  # for the close to tell
        except (StoreError, StorageMissing, BlobsUnavailable, Transient, Permanent) as error:
            self._left.add((piece.task_id, piece.output))
            _logger.warning(
                "a piece is left for later",
                task_id=piece.task_id,
                output=piece.output,
                number=piece.number,
                reason=str(error),
            )

    async def _ship(self, shipment: Shipment, piece: Piece) -> None:
        await _send(shipment, piece)
        which = (piece.task_id, piece.output)
        if which in self._left:
            self._left.discard(which)
            facts = await shipment.facts(piece.output)
            missing = [left for number, left in facts.pieces.items() if number not in facts.shipped]
            await at_once(lambda left: _send(shipment, left), missing)
        if piece.output == "hls":
            await self._tell_live(shipment.task, await files.publish_live(shipment))

    async def close(self, packaged: StoredEvent) -> None:
        """React to `outputs_packaged`, as often as it is delivered.

        Raises:
            Permanent: the store will never take a file, or was away for too long.
            Transient: it may do so later.
        """
        task, _ = await self._log.load(packaged.task_id)
        overdue = datetime.now(UTC) - packaged.envelope.time > timedelta(
            hours=self._settings.upload_patience_h
        )
        try:
            if task and task.phase == Phase.UPLOAD:
                self._left = {which for which in self._left if which[0] != task.task_id}
                report = ReportUploaded(await self._upload(task, overdue))
                task = (await self._log.execute(task.task_id, report, packaged.cause(SERVICE))).task
            # An upload that failed has no finish time, and its files are kept.
            if task and task.finish_time:
                await self._tidy(task)
        except (ValueError, StorageMissing, StoreRefused) as error:
            raise Permanent("InternalError", str(error)) from error
        except (Permanent, Rejected):
            raise
        except Exception as error:  # whatever it was, it is tried again until it is too late
            if overdue:
                hours = self._settings.upload_patience_h
                raise Permanent("InternalError", f"{error}; tried for {hours:g} hours") from error
            raise Transient(str(error)) from error

    async def give_up(self, packaged: StoredEvent, failure: Failure) -> None:
        """Tell the user what the store said, and where the media is."""
        task, _ = await self._log.load(packaged.task_id)
        kept = ""
        if task and task.outputs and not task.clip:
            store = "blob directory" if task.storage_type == "cfs" else "raw bucket"
            where = f"{outputs_prefix(task.task_id)} and {segments_prefix(task.task_id)}"
            days = self._settings.failed_retention_days
            kept = f"; its media is kept for {days:g} days in the {store}, below {where}"
        message = f"video upload failed({failure.message}){kept}"
        failed = ReportUploaded(UploadFailed(failure=Failure(code=failure.code, message=message)))
        outcome = await self._log.execute(packaged.task_id, failed, packaged.cause(SERVICE))
        if outcome.appended:
            await self._abort(outcome.task)
            with suppress(ValueError, StorageMissing, StoreError, Transient):
                await self._end_live(outcome.task)
        if outcome.appended and outcome.task.clip:
            # Nothing would lead the sweeper to it, and it can be cut again.
            with suppress(OSError, StorageMissing):
                await self._remove_packaged(outcome.task)

    async def end_live(self, failed: StoredEvent) -> None:
        """React to `packaging_failed`: whoever follows the recording is told that there is no more of it.

        Raises:
            StoreError, Transient, StorageMissing: it could not be told.
        """
        task, _ = await self._log.load(failed.task_id)
        if task and not task.output.vod:
            await self._end_live(task)

    async def leave_live(self, failed: StoredEvent, failure: Failure) -> None:
        """Those who follow it will notice that nothing comes."""
        _logger.warning("a live playlist has no end", task_id=failed.task_id, reason=failure.message)

    async def _end_live(self, task: Task) -> None:
        if "hls" in task.output.muxers:
            await files.publish_live(await self._shipment(task, destination_of(task, self._settings)))

    async def _abort(self, task: Task) -> None:
        """Remove what its target holds of an mp4 that will not be completed, as far as that is possible."""
        if "mp4" in task.output.muxers and not task.output.vod:
            with suppress(ValueError, StorageMissing, StoreError):
                await mp4.abort(await self._shipment(task, destination_of(task, self._settings)))

    async def _remove_packaged(self, task: Task) -> None:
        blobs = await self._stores.of(task.storage_type)
        await asyncio.to_thread(blobs.delete_prefix, outputs_prefix(task.task_id))

    async def _upload(self, task: Task, overdue: bool) -> OutputsUploaded:
        if task.output.vod:
            blobs = await self._stores.of(task.storage_type)
            return OutputsUploaded(videos=await vod.publish(task, self._log, blobs, self._settings))
        try:
            return await self._store(await self._shipment(task, destination_of(task, self._settings)))
        except ForeignObject:
            raise
        except StoreError as error:
            backup = backup_of(task, self._settings, refusal=str(error))
            if not backup or not (overdue or isinstance(error, StoreRefused)):
                raise
        _logger.warning("goes to the backup store", task_id=task.task_id, refusal=backup.refusal)
        await self._abort(task)
        return await self._store(await self._shipment(task, backup))

    async def _store(self, shipment: Shipment) -> OutputsUploaded:
        """Store what is not yet stored of all outputs."""
        task, destination = shipment.task, shipment.destination
        videos: list[Video] = []
        beside: list[StoredFile] = []
        for output in task.outputs:
            began = time.monotonic()
            match output.kind:
                case "mp4":
                    await mp4.close(shipment, output)
                    videos.append(self._video(shipment, output, destination.result("mp4")))
                case "hls":
                    await self._tell_live(task, await files.close_playlist(shipment, output))
                    videos.append(self._video(shipment, output, destination.result("hls")))
                case "sprites":
                    beside.append(await files.close_sprites(shipment, output))
                case "poster":
                    beside.append(await files.close_poster(shipment, output))
            seconds = round(time.monotonic() - began, 3)
            _logger.info(
                "stored", task_id=task.task_id, kind=output.kind, bytes=output.bytes, seconds=seconds
            )
        if task.outputs:
            place = destination.manifest()
            beside.append(StoredFile(kind="manifest", filename=place.filename, url=place.url))
        return OutputsUploaded(videos=tuple(videos), files=tuple(beside))

    async def _tell_live(self, task: Task, live: StoredFile | None) -> None:
        if live and live not in task.files:
            await self._log.execute(task.task_id, ReportLive(LivePublished(file=live)), Cause(SERVICE))

    def _video(self, shipment: Shipment, output: Output, place: Place) -> Video:
        url = place.url
        if output.kind == "mp4" and self._settings.url_style == "presigned":
            url = s3.presigned(shipment.client, place, self._settings.presigned_url_s)
        return Video(
            filename=place.filename,
            bytes=output.bytes,
            duration_s=output.duration_s,
            url=url,
            refusal=shipment.destination.refusal,
        )

    async def _tidy(self, task: Task) -> None:
        """What can wait until the results are told: the manifest; then the packaged files have served."""
        if task.outputs and not task.output.vod:
            # A former delivery removed the files, after it had stored the manifest.
            with suppress(Absent):
                await manifest.store(await self._shipment(task, self._where(task)))
        await self._remove_packaged(task)

    def _where(self, task: Task) -> Destination:
        """Where the results of a finished task are."""
        refusals = [video.refusal for video in task.videos if video.refusal]
        backup = backup_of(task, self._settings, refusals[0]) if refusals else None
        return backup or destination_of(task, self._settings)

    async def _shipment(self, task: Task, destination: Destination) -> Shipment:
        blobs = await self._stores.of(task.storage_type)
        client = await asyncio.to_thread(self._client, destination.access)
        return Shipment(task, blobs, destination, client, self._ledger)


async def _send(shipment: Shipment, piece: Piece) -> None:
    if piece.output != "mp4":
        await files.ship(shipment, piece)
    elif piece.number:
        await mp4.ship(shipment, piece)
