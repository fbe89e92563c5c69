"""How a result gets into the bucket that VOD gives for it.

Its temporary keys may write there; nothing says that they may read or list (document 266/33913).
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from panoreel.blobs import multipart, s3
from panoreel.blobs.places import ObjectPlace
from panoreel.blobs.store import Blobs
from panoreel.contracts import names
from panoreel.contracts.events import HlsEncryption, Output
from panoreel.contracts.outputs import Piece
from panoreel.uploader import packaged, playlists
from panoreel.uploader.shipment import at_once

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARGIN_S: Final = 600
"""So long the temporary keys must still be good when an object or a part is sent."""


class KeysExpire(Exception):
    """VOD's temporary keys do not last long enough for what is still to be sent."""


@dataclass(frozen=True)
class VodUpload:
    """An upload to `place`, from `blobs`, with keys that expire at `expires_s` (Unix time), if they do.

    Raises, whatever is uploaded:
        KeysExpire: all of it has to be sent again, to another place.
        StoreError: VOD's bucket refuses it, or does not work now.
        Permanent, Transient: a blob is damaged, or cannot be read now.
    """

    client: "S3Client"
    place: ObjectPlace
    expires_s: int | None
    blobs: Blobs

    async def mp4(self, output: Output, pieces: Sequence[Piece]) -> None:
        """Store one file: what rests under the output's own key, then its pieces."""
        if not pieces and output.bytes >= multipart.MIN_PART_BYTES:
            await self._store_file(output)
            return
        first = await packaged.read(self.blobs, output.blob_key, output.sha256)
        first += b"".join([await self._read(piece) for piece in pieces[:1]])
        if len(pieces) < 2:
            await self._put(self.place.key, first)
        else:
            await self._store_parts(first, pieces)

    async def hls(self, pieces: Sequence[Piece], encryption: HlsEncryption | None) -> None:
        """Store the segments, then the playlist. Its own name is VOD's choice, theirs begin like it."""

        def key(number: int) -> str:
            return names.sibling(self.place.key, f"-{number:05d}.ts")

        async def send(piece: Piece) -> None:
            await self._put(key(piece.number), await self._read(piece))

        await at_once(send, pieces)
        playlist = playlists.final(pieces, lambda number: key(number).rpartition("/")[-1], encryption)
        await self._put(self.place.key, playlist)

    async def _store_parts(self, first: bytes, pieces: Sequence[Piece]) -> None:
        """All pieces but the last one are as long as a part has to be."""
        self._check()
        upload = await asyncio.to_thread(multipart.begin, self.client, self.place, {})
        etags: dict[int, str] = {}

        async def send(part: int) -> None:
            content = first if part == 1 else await self._read(pieces[part - 1])
            self._check()
            etags[part] = await asyncio.to_thread(upload.send, part, content)

        try:
            await at_once(send, range(1, len(pieces) + 1))
            await asyncio.to_thread(upload.complete, etags)
        except BaseException:
            await asyncio.to_thread(upload.abort)
            raise

    async def _store_file(self, output: Output) -> None:
        """Store a large blob, of which no more than a few parts fit into memory."""
        cancelled = threading.Event()

        def store() -> None:
            with packaged.fetched(self.blobs, output.blob_key) as file:
                multipart.send_file(self.client, self.place, file, {}, cancelled)

        self._check()
        try:
            await asyncio.to_thread(store)
        finally:
            cancelled.set()

    async def _put(self, key: str, content: bytes) -> None:
        self._check()
        await asyncio.to_thread(s3.put, self.client, replace(self.place, key=key), content)

    async def _read(self, piece: Piece) -> bytes:
        return await packaged.read(self.blobs, piece.blob_key, piece.sha256)

    def _check(self) -> None:
        if self.expires_s is not None and self.expires_s - time.time() < MARGIN_S:
            raise KeysExpire(f"its temporary keys are good for less than {MARGIN_S} s")
