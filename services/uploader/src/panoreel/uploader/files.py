"""Results that are many objects: the segments of a playlist, and pictures."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from panoreel.contracts.events import Output, StoredFile
from panoreel.contracts.outputs import Piece, Shipped
from panoreel.contracts.task import Task
from panoreel.eventlog.outputs import OutputFacts, tell_shipped
from panoreel.uploader import playlists
from panoreel.uploader.names import Destination, Place
from panoreel.uploader.shipment import Shipment, at_once


async def ship(shipment: Shipment, piece: Piece) -> None:
    """Store a segment or a sheet, unless that was done.

    Raises:
        StoreError, Transient, Permanent, LogUnavailable: it could not be stored now, or never can.
    """
    place = _place(shipment.destination, piece)
    async with shipment.ledger.sending(piece):
        if _is_at(place, await shipment.facts(piece.output), piece):
            return
        etag = await shipment.put(place, await shipment.read(piece.blob_key, piece.sha256))
        shipped = Shipped(
            task_id=piece.task_id,
            output=piece.output,
            number=piece.number,
            bucket=place.bucket,
            key=place.key,
            bytes=piece.bytes,
            etag=etag,
        )
        await tell_shipped(shipment.ledger.log, shipped)


async def publish_live(shipment: Shipment) -> StoredFile | None:
    """Write the playlist that can be followed, as far as segments are stored without a hole.

    Several replicas may write it at once: each looks again, after it has written, whether it knew of all.
    """
    async with shipment.ledger.publishing(shipment.task.task_id):
        return await _publish_live(shipment)


async def close_playlist(shipment: Shipment, output: Output) -> StoredFile | None:
    """Store what was not, then the final playlist, and end the live one, which is told; raises as `ship`."""
    pieces = await shipment.pieces(output)
    await _ship_missing(shipment, pieces)
    await shipment.put(shipment.destination.result("hls"), final_playlist(shipment, pieces))
    return await publish_live(shipment)


def final_playlist(shipment: Shipment, pieces: Sequence[Piece]) -> bytes:
    """The playlist of these segments, in the order of the output."""
    return playlists.final(pieces, _name(shipment.destination), shipment.task.output.encryption)


async def close_sprites(shipment: Shipment, output: Output) -> StoredFile:
    """Store the sheets that were not, then what tells their times; raises as `ship`."""
    await _ship_missing(shipment, await shipment.pieces(output))
    return await _store(shipment, output, shipment.destination.sprites(), "sprites")


async def close_poster(shipment: Shipment, output: Output) -> StoredFile:
    """Store the picture that stands for the recording; raises as `ship`."""
    return await _store(shipment, output, shipment.destination.poster(), "poster")


async def _ship_missing(shipment: Shipment, pieces: Sequence[Piece]) -> None:
    """Store those that nobody has stored; what it takes does not depend on how many were."""
    if pieces:
        facts = await shipment.facts(pieces[0].output)
        missing = [piece for piece in pieces if not _is_at(_place(shipment.destination, piece), facts, piece)]
        await at_once(lambda piece: ship(shipment, piece), missing)


async def _store(
    shipment: Shipment, output: Output, place: Place, kind: Literal["sprites", "poster"]
) -> StoredFile:
    await shipment.put(place, await shipment.read(output.blob_key, output.sha256))
    return StoredFile(kind=kind, filename=place.filename, url=place.url)


async def _publish_live(shipment: Shipment) -> StoredFile | None:
    destination = shipment.destination
    place = destination.live()
    written: bytes | None = None
    while True:
        task, _ = await shipment.ledger.log.load(shipment.task.task_id)
        if task is None:
            return None
        pieces, ended = _playable(await shipment.facts("hls"), destination, task)
        if not pieces:
            return None
        playlist = playlists.live(
            pieces, _name(destination), task.output.encryption, task.encoder, ended=ended
        )
        if playlist == written:
            return StoredFile(kind="live", filename=place.filename, url=place.url)
        await shipment.put(place, playlist)
        written = playlist


def _place(destination: Destination, piece: Piece) -> Place:
    if piece.output == "hls":
        return destination.segment(piece.number)
    if piece.output == "poster":
        return destination.poster()
    return destination.sheet(piece.number)


def _name(destination: Destination) -> playlists.Name:
    # A relative URL: names may hold what means something else there (RFC 3986 §2.2).
    return lambda number: quote(destination.segment(number).filename, safe="")


def _playable(facts: OutputFacts, destination: Destination, task: Task) -> tuple[list[Piece], bool]:
    """The pieces that can be played, and whether there will be no more.

    Until the recording has ended they are without a hole. One that still is there then was left by media that
    nobody could read.
    """
    pieces = (piece for _, piece in sorted(facts.pieces.items()))
    stored = [piece for piece in pieces if _is_at(destination.segment(piece.number), facts, piece)]
    numbers = {piece.number for piece in stored}
    if any(output.kind == "hls" and numbers.issuperset(output.pieces) for output in task.outputs):
        return stored, True
    return [piece for index, piece in enumerate(stored) if piece.number == index], task.failure is not None


def _is_at(place: Place, facts: OutputFacts, piece: Piece) -> bool:
    """Whether a piece is known to be stored there, and not where it was to go before."""
    shipped = facts.shipped.get(piece.number)
    return shipped is not None and (shipped.bucket, shipped.key) == (place.bucket, place.key)
