"""What the transcoder does: it packages recordings piece by piece while they run, then closes them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from panoreel.blobs.errors import StorageMissing
from panoreel.blobs.keys import segments_prefix
from panoreel.blobs.shared import BlobStores, open_shared
from panoreel.contracts.commands import ReportPackaged
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure, PackagingFailed, RecordingStopped
from panoreel.contracts.media import Segment
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, SecretsUnavailable, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import following, reacting
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.topology import CLIPS, PACKAGING, TRANSCODER
from panoreel.transcoder.clip import Clips
from panoreel.transcoder.closing import Closing
from panoreel.transcoder.errors import PackagingError
from panoreel.transcoder.packing import Packer
from panoreel.transcoder.patience import tried_until_late
from panoreel.transcoder.recordings import Recording, Recordings
from panoreel.transcoder.settings import TranscoderSettings

SERVICE: Final = "transcoder"

LATE: Final = timedelta(seconds=60)
"""How long a segment that `recording_stopped` counts may still be on its way before it is taken for lost."""

_logger = structlog.get_logger()


async def work(settings: TranscoderSettings, ready: Callable[[], None]) -> None:
    """Package until cancelled.

    Raises:
        BlobsUnavailable: the blob store cannot be used.
    """
    nats_url = settings.nats_url.get_secret_value()
    async with open_log(nats_url, SERVICE) as log:
        stores = await open_shared(log, settings)
        secrets = SecretStore(log, [key.get_secret_value() for key in settings.secret_keys])
        transcoder, clips = Transcoder(log, stores, secrets), Clips(log, stores)
        async with (
            following(nats_url, SERVICE, PACKAGING, Segment, transcoder.follow),
            reacting(nats_url, SERVICE, TRANSCODER, transcoder.close, transcoder.give_up),
            reacting(nats_url, SERVICE, CLIPS, clips.cut, clips.give_up),
        ):
            ready()
            await asyncio.Event().wait()


class Transcoder:
    """Packages recordings."""

    def __init__(self, log: EventLog, stores: BlobStores, secrets: SecretStore) -> None:
        self._log = log
        self._stores = stores
        self._secrets = secrets
        self._recordings = Recordings(log)

    async def follow(self, segment: Segment) -> None:
        """React to an announcement, as often as it is told, by packaging the pieces that it completes.

        What cannot be packaged now is told again later; once the recording has ended, closing does it. What
        never can be, closing tells.

        Raises:
            OSError, BlobNotFound, BlobsUnavailable, LogUnavailable: as `Packer.package`.
        """
        try:
            await self._follow(segment)
        except (PackagingError, Permanent) as error:
            _logger.warning("a piece is not packaged", task_id=segment.task_id, reason=str(error))

    async def _follow(self, segment: Segment) -> None:
        recording = self._recordings.known(segment.task_id) or await self._begun(segment.task_id)
        if recording and (pieces := await recording.completed_by(segment)):
            task = await self._running(segment.task_id)
            if task is None:
                return
            packer = await self._packer(task)
            for piece in pieces:
                await packer.package(piece)
                # Read while there is time: closing then reads only what is new.
                await recording.packaged(piece.output)

    async def close(self, stopped: StoredEvent) -> None:
        """React to `recording_stopped`, as often as it is delivered.

        Raises:
            Transient: segments are still on their way.
            OSError, BlobNotFound, BlobsUnavailable, LogUnavailable: they cannot be read now.
            Permanent: what was recorded cannot be packaged, or could not be for too long.
        """
        age = datetime.now(UTC) - stopped.envelope.time
        with tried_until_late(age):
            await self._close(stopped, age)

    async def _close(self, stopped: StoredEvent, age: timedelta) -> None:
        assert isinstance(stopped.event, RecordingStopped)
        task, _ = await self._log.load(stopped.task_id)
        if task is None or task.phase != Phase.TRANSCODE:
            return
        history = [stored async for stored in self._log.history(stopped.task_id)]
        recording = self._recordings.of(task)
        await recording.refresh()
        _check_complete(stopped.event, recording, age)
        packer = await self._packer(task, late=age >= LATE)
        packaged = await Closing(recording, packer, history).outputs()
        await self._log.execute(task.task_id, ReportPackaged(packaged), stopped.cause(SERVICE))
        _logger.info("packaged", task_id=task.task_id, outputs=[output.kind for output in packaged.outputs])
        self._recordings.forget(task.task_id)

    async def give_up(self, stopped: StoredEvent, failure: Failure) -> None:
        """Tell the user why there is no file, and where the media is."""
        where = segments_prefix(stopped.task_id)
        message = f"video transcode failed({failure.message}); its media is kept below {where}"
        failed = PackagingFailed(failure=Failure(code=failure.code, message=message))
        await self._log.execute(stopped.task_id, ReportPackaged(failed), stopped.cause(SERVICE))
        self._recordings.forget(stopped.task_id)

    async def _begun(self, task_id: str) -> Recording | None:
        task = await self._running(task_id)
        return self._recordings.of(task) if task else None

    async def _running(self, task_id: str) -> Task | None:
        """The task, unless it has ended: then closing packages all, or has done so."""
        task, _ = await self._log.load(task_id)
        return task if task and task.phase < Phase.TRANSCODE else None

    async def _packer(self, task: Task, *, late: bool = False) -> Packer:
        try:
            blobs = await self._stores.of(task.storage_type, anew=late)
            return Packer(self._log, task, blobs, await self._hls_key(task), late)
        except (StorageMissing, SecretsUnavailable) as error:
            raise Permanent("InternalError", str(error)) from error

    async def _hls_key(self, task: Task) -> bytes | None:
        if task.output.encryption is None or "hls" not in task.output.muxers:
            return None
        key = (await self._secrets.unseal(task.secrets_key)).hls_key
        if key is None:
            raise SecretsUnavailable(SecretsUnavailable.__doc__)
        return bytes.fromhex(key)


def _check_complete(stopped: RecordingStopped, recording: Recording, age: timedelta) -> None:
    missing = [
        (epoch, index)
        for epoch, last_index in stopped.last_index.items()
        for index in range(last_index + 1)
        if (epoch, index) not in recording.segments
    ]
    if not missing:
        return
    if age < LATE:
        raise Transient(f"{len(missing)} segments are not announced yet, the first is {missing[0]}")
    _logger.warning("segments are lost", missing=missing)
