"""An MP4 on its way: its media as parts of one upload while it is recorded, the index and the beginning last.

Piece n is part n + 1. Piece 0 is held back, since the index precedes it in the first part. What was sent is
told in `OUTPUTS`, so that any replica goes on where another died.
"""

import asyncio
import threading
from typing import Final

from panoreel.blobs import multipart, s3
from panoreel.blobs.errors import UploadForgotten
from panoreel.blobs.multipart import MultipartUpload
from panoreel.contracts.events import Output
from panoreel.contracts.outputs import Piece, Shipped, UploadBegun
from panoreel.contracts.task import Phase
from panoreel.eventlog.outputs import OutputFacts, tell_once, tell_shipped
from panoreel.uploader.names import Place
from panoreel.uploader.shipment import Shipment, at_once

_TASK: Final = "task"
"""Metadata that tells whose result an object is."""


async def ship(shipment: Shipment, piece: Piece) -> None:
    """Send a piece other than the first, unless that was done.

    Raises:
        StoreError, Transient, Permanent, LogUnavailable: it could not be sent now, or never can.
    """
    upload = await _upload(shipment)
    try:
        await _send(shipment, upload, piece)
    except UploadForgotten:
        task, _ = await shipment.ledger.log.load(piece.task_id)
        if task and task.phase < Phase.UPLOAD:  # else the upload may have become the object meanwhile
            await _send(shipment, await _upload(shipment, forgotten=upload.upload_id), piece)


async def close(shipment: Shipment, output: Output) -> None:
    """Make the object from what was sent, sending what was not; raises as `ship` does."""
    place = shipment.destination.result("mp4")
    if len(output.pieces) > 1:
        await _close_upload(shipment, output, place)
    elif output.pieces:
        await shipment.put(place, await _beginning(shipment, output))
    else:
        await _store_whole(shipment, output, place)


async def abort(shipment: Shipment) -> None:
    """Remove the parts that were sent, as far as that is possible now."""
    facts = await shipment.facts("mp4")
    if upload := _current(facts, shipment.destination.result("mp4")):
        await asyncio.to_thread(_opened(shipment, upload).abort)


async def _close_upload(shipment: Shipment, output: Output, place: Place) -> None:
    forgotten: str | None = None
    while not await _is_stored(shipment, output, place):
        upload = await _upload(shipment, forgotten)
        try:
            await _complete(shipment, output, upload)
        except UploadForgotten:
            if forgotten:
                raise
            forgotten = upload.upload_id
    await asyncio.to_thread(multipart.abort_unfinished, shipment.client, place)


async def _complete(shipment: Shipment, output: Output, upload: UploadBegun) -> None:
    following = (await shipment.pieces(output))[1:]
    opened = _opened(shipment, upload)
    shipped = (await shipment.facts("mp4")).shipped
    missing = [piece for piece in following if not _is_in(upload, shipped.get(piece.number))]
    await at_once(lambda piece: _send(shipment, upload, piece), missing)
    first = await asyncio.to_thread(opened.send, 1, await _beginning(shipment, output))
    shipped = (await shipment.facts("mp4")).shipped
    etags = {1: first} | {piece.number + 1: shipped[piece.number].etag for piece in following}
    etag = await asyncio.to_thread(opened.complete, etags)
    await asyncio.to_thread(s3.verify, shipment.client, opened.place, output.bytes, etag)


async def _beginning(shipment: Shipment, output: Output) -> bytes:
    """The index and the piece that follows it."""
    index = await shipment.read(output.blob_key, output.sha256)
    first, *_ = await shipment.pieces(output)
    return index + await shipment.read(first.blob_key, first.sha256)


async def _store_whole(shipment: Shipment, output: Output, place: Place) -> None:
    """Store an output that is one blob, of any length."""
    cancelled = threading.Event()

    def store() -> None:
        with shipment.fetched(output.blob_key) as file:
            s3.store(shipment.client, place, file, output.sha256 or "", cancelled)

    try:
        await asyncio.to_thread(store)
    finally:
        cancelled.set()


async def _is_stored(shipment: Shipment, output: Output, place: Place) -> bool:
    """Whether the object is there: a replica may have been killed before it could tell."""
    found = await asyncio.to_thread(s3.head, shipment.client, place)
    return found is not None and (found["Metadata"].get(_TASK), found["ContentLength"]) == (
        shipment.task.public_id,
        output.bytes,
    )


async def _send(shipment: Shipment, upload: UploadBegun, piece: Piece) -> None:
    """Make sure that a piece is a part of the upload."""
    async with shipment.ledger.sending(piece):
        known = (await shipment.facts("mp4")).shipped.get(piece.number)
        if _is_in(upload, known):
            return
        content = await shipment.read(piece.blob_key, piece.sha256)
        part = piece.number + 1
        etag = await asyncio.to_thread(_opened(shipment, upload).send, part, content)
        shipped = Shipped(
            task_id=piece.task_id,
            output="mp4",
            number=piece.number,
            bucket=upload.bucket,
            key=upload.key,
            bytes=piece.bytes,
            etag=etag,
            upload_id=upload.upload_id,
            part=part,
        )
        await tell_shipped(shipment.ledger.log, shipped)


async def _upload(shipment: Shipment, forgotten: str | None = None) -> UploadBegun:
    """The upload that the parts go to; another one is begun where there is none or the store forgot it."""
    place = shipment.destination.result("mp4")
    facts = await shipment.facts("mp4")
    current = _current(facts, place)
    if current and current.upload_id != forgotten:
        return current
    await asyncio.to_thread(s3.head, shipment.client, place)  # raises if it is another application's
    metadata = s3.owned(place, {_TASK: shipment.task.public_id})
    begun = await asyncio.to_thread(multipart.begin, shipment.client, place, metadata)
    attempt = facts.upload.attempt + 1 if facts.upload else 0
    fact = UploadBegun(
        task_id=shipment.task.task_id,
        output="mp4",
        attempt=attempt,
        bucket=place.bucket,
        key=place.key,
        upload_id=begun.upload_id,
    )
    await tell_once(shipment.ledger.log, fact)
    told = (await shipment.facts("mp4")).upload
    if told is None or told.upload_id == begun.upload_id:
        return fact
    await asyncio.to_thread(begun.abort)
    return told


def _is_in(upload: UploadBegun, shipped: Shipped | None) -> bool:
    """Whether a piece was sent to this upload, and not to one that the store has forgotten."""
    return shipped is not None and shipped.upload_id == upload.upload_id


def _current(facts: OutputFacts, place: Place) -> UploadBegun | None:
    """The upload that was told, unless it leads elsewhere: to the store that refused, or was left since."""
    upload = facts.upload
    return upload if upload and (upload.bucket, upload.key) == (place.bucket, place.key) else None


def _opened(shipment: Shipment, upload: UploadBegun) -> MultipartUpload:
    return MultipartUpload(shipment.client, shipment.destination.result("mp4"), upload.upload_id)
