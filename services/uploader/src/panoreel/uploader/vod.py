"""Results that go to VOD instead of a bucket: each becomes one media file there, and never two.

VOD makes a media file when an upload is *committed*. What is told before that, in `OUTPUTS`, lets a replica
that takes over commit the same upload, instead of another one.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import structlog

from panoreel.blobs import s3
from panoreel.blobs.errors import StoreError, StoreRefused
from panoreel.blobs.places import ObjectPlace, StoreAccess
from panoreel.blobs.store import Blobs
from panoreel.contracts import names
from panoreel.contracts.events import Output, Video, VodRequest
from panoreel.contracts.outputs import CommitBegun, Committed, Muxer, OutputKind, Piece
from panoreel.contracts.task import Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import OutputFacts, tell_once
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.vod_api import Reservation, SessionLost, VodApi, VodRefused, VodUnavailable
from panoreel.uploader.vod_bucket import KeysExpire, VodUpload

SESSIONS: Final = 3
"""How many uploads of one result are begun in a row."""

_MEDIA_TYPES: Final[Mapping[OutputKind, str]] = {"mp4": "mp4", "hls": "m3u8"}

_logger = structlog.get_logger()


async def publish(task: Task, log: EventLog, blobs: Blobs, settings: UploaderSettings) -> tuple[Video, ...]:
    """Make a media file of each result of a packaged task. Called again, it goes on where it was.

    Raises:
        Permanent: VOD, its bucket or a damaged blob makes it impossible.
        Transient, LogUnavailable: it may be possible later.
        ValueError: the caller's names for a result make none.
    """
    try:
        publisher = _Publisher(task, log, blobs, settings)
        videos = [output for output in task.outputs if output.kind in _MEDIA_TYPES]
        return tuple([await publisher.video(output) for output in videos])
    except (VodRefused, StoreRefused) as error:
        raise Permanent("InternalError", f"VOD: {error}") from error
    except (VodUnavailable, StoreError, KeysExpire) as error:
        raise Transient(f"VOD: {error}") from error


class _Publisher:
    def __init__(self, task: Task, log: EventLog, blobs: Blobs, settings: UploaderSettings) -> None:
        self._task = task
        self._log = log
        self._blobs = blobs
        self._settings = settings
        self._request = task.output.vod or VodRequest()
        self._api = VodApi(settings)

    async def video(self, output: Output) -> Video:
        """The media file of one output, which is made if there is none. Its measures are our own."""
        filename = self._filename(output)
        committed = await self._committed(output)
        return Video(
            filename=filename,
            bytes=output.bytes,
            duration_s=output.duration_s,
            url=committed.url,
            file_id=committed.file_id,
        )

    async def _committed(self, output: Output) -> Committed:
        facts = OutputFacts(self._log, self._task.task_id, output.kind)
        await facts.refresh()
        if facts.committed:
            return facts.committed
        if facts.commit:
            return await self._commit(facts.commit, heard=True)
        for attempt in range(SESSIONS):
            try:
                return await self._commit(await self._upload(output, facts, attempt), heard=False)
            except (KeysExpire, SessionLost) as error:
                _logger.warning("VOD has to be sent a result again", attempt=attempt, reason=str(error))
                trouble = error
        raise trouble

    async def _upload(self, output: Output, facts: OutputFacts, attempt: int) -> CommitBegun:
        """Upload to a new place, and tell that this is what will be committed."""
        pieces = [facts.pieces[number] for number in output.pieces]
        reservation = await self._api.apply(self._wishes(output))
        began = time.monotonic()
        place = await self._send(output, pieces, reservation)
        seconds = round(time.monotonic() - began, 3)
        _logger.info("uploaded to VOD", bucket=place.bucket, key=place.key, seconds=seconds)
        begun = CommitBegun(
            task_id=self._task.task_id,
            output=output.kind,
            attempt=attempt,
            bucket=place.bucket,
            key=place.key,
            session_key=reservation.vod_session_key,
        )
        if not await tell_once(self._log, begun):
            raise Transient("another replica commits an upload of this result already")
        return begun

    async def _send(self, output: Output, pieces: list[Piece], reservation: Reservation) -> ObjectPlace:
        place = ObjectPlace(reservation.storage_bucket, reservation.media_storage_path.lstrip("/"))
        keys = reservation.temp_certificate
        client = await asyncio.to_thread(s3.connect, self._access(reservation))
        try:
            upload = VodUpload(client, place, keys.expired_time if keys else None, self._blobs)
            if output.kind == "hls":
                await upload.hls(pieces, self._task.output.encryption)
            else:
                await upload.mp4(output, pieces)
        finally:
            client.close()
        return place

    def _access(self, reservation: Reservation) -> StoreAccess:
        region = reservation.storage_region
        keys = reservation.temp_certificate
        return StoreAccess(
            endpoint=self._settings.vod_s3_endpoint.rstrip("/").replace("{region}", region),
            region=region,
            access_key=keys.secret_id if keys else self._api.secret_id,
            secret_key=keys.secret_key if keys else self._api.secret_key,
            session_token=keys.token if keys else None,
        )

    async def _commit(self, begun: CommitBegun, *, heard: bool) -> Committed:
        """Have the media file made. `heard`: VOD may have been asked to, by a replica that died."""
        parameters: dict[str, str | int] = {"VodSessionKey": begun.session_key}
        try:
            media = await self._api.commit(parameters | self._application())
        except SessionLost as error:
            if heard or error.unclear:
                # Another upload could make a second media file.
                found = f"look for one whose SourceContext is {self._context}"
                raise Permanent(
                    "InternalError", f"VOD: {error}; it may have made the media file: {found}"
                ) from error
            raise
        committed = Committed(
            task_id=begun.task_id, output=begun.output, file_id=media.file_id, url=media.media_url
        )
        await tell_once(self._log, committed)
        return committed

    def _wishes(self, output: Output) -> dict[str, str | int]:
        """The fields of ApplyUpload; those that are empty are left out."""
        asked = self._request
        wishes: dict[str, str | int | None] = {
            "MediaType": _MEDIA_TYPES[output.kind],
            "MediaName": asked.media_name,
            "ExpireTime": asked.expire_time,
            "StorageRegion": asked.storage_region,
            "ClassId": asked.class_id,
            "SourceContext": self._context,
            "Procedure": asked.procedure,
            "SessionContext": asked.session_context,
        }
        return {name: value for name, value in wishes.items() if value} | self._application()

    def _application(self) -> dict[str, str | int]:
        sub_app_id = self._request.sub_app_id
        return {} if sub_app_id is None else {"SubAppId": sub_app_id}

    def _filename(self, output: Output) -> str:
        muxer: Muxer = "hls" if output.kind == "hls" else "mp4"
        task = self._task
        return names.result_key(task.output, muxer, task.public_id, task.create_time).rpartition("/")[-1]

    @property
    def _context(self) -> str:
        """What VOD's own events tell of where a media file is from."""
        return self._request.source_context or self._task.public_id
