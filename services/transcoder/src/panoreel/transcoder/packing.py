"""Making one piece: media is read, packaged, stored, and told of."""

import asyncio
import hashlib
from dataclasses import dataclass, field

import structlog

from panoreel.blobs.errors import BlobNotFound
from panoreel.blobs.keys import output_key
from panoreel.blobs.store import Blobs
from panoreel.contracts.media import Segment
from panoreel.contracts.outputs import Piece
from panoreel.contracts.task import Task
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import tell_once
from panoreel.transcoder import hls, thumbnails
from panoreel.transcoder.errors import SegmentDamaged
from panoreel.transcoder.mp4 import packaging as mp4
from panoreel.transcoder.pieces import PackagedPiece, PlannedPiece

_logger = structlog.get_logger()


@dataclass(frozen=True)
class Packer:
    """Packages the pieces of one task; `hls_key` is what HLS is encrypted with, if that was asked for.

    A segment that is damaged is left out. One that is missing is waited for until it is `late`, for the store
    may be away.
    """

    log: EventLog
    task: Task
    blobs: Blobs
    hls_key: bytes | None = field(default=None, repr=False)
    late: bool = False

    async def package(self, planned: PlannedPiece) -> None:
        """Make a piece, unless all of its media is damaged. Made again, it is the same.

        Raises:
            PackagingError: it never can be made.
            BlobNotFound, OSError, LogUnavailable: it cannot be made now.
        """
        piece = await asyncio.to_thread(self._stored, planned)
        if piece:
            await tell_once(self.log, piece)

    def _stored(self, planned: PlannedPiece) -> Piece | None:
        while planned.segments:
            try:
                return self._store(planned, self._packaged(planned))
            except SegmentDamaged as error:
                _logger.warning("a segment is left out", task_id=self.task.task_id, reason=str(error))
                planned = planned.without(error.segment)
        return None

    def _packaged(self, planned: PlannedPiece) -> PackagedPiece:
        match planned.output:
            case "mp4":
                return mp4.package(planned, self._read)
            case "hls":
                return hls.package(planned, self._read, self._encryption)
            case "poster":
                return thumbnails.package_poster(planned, self._read)
            case "sprites":
                assert self.task.output.thumbnails is not None
                return thumbnails.package_sheet(planned, self._read, self.task.output.thumbnails)

    @property
    def _encryption(self) -> hls.Encryption | None:
        told = self.task.output.encryption
        return hls.Encryption(self.hls_key, bytes.fromhex(told.iv)) if told and self.hls_key else None

    def _store(self, planned: PlannedPiece, packaged: PackagedPiece) -> Piece:
        key = output_key(self.task.task_id, f"{planned.output}/{planned.number}")
        self.blobs.put_bytes(packaged.content, key)
        if packaged.index:
            self.blobs.put_bytes(packaged.index, f"{key}.index")
        return Piece(
            task_id=self.task.task_id,
            output=planned.output,
            number=planned.number,
            blob_key=key,
            bytes=len(packaged.content),
            sha256=hashlib.sha256(packaged.content).hexdigest(),
            segments=tuple((segment.epoch, segment.index) for segment in planned.segments),
            first_sample=planned.first_sample,
            samples=planned.samples,
            frames=packaged.frames,
            index_key=f"{key}.index" if packaged.index else None,
        )

    def _read(self, segment: Segment) -> bytes:
        try:
            return self.blobs.read(segment.blob_key)
        except BlobNotFound as error:
            if not self.late:
                raise
            raise SegmentDamaged(segment) from error
