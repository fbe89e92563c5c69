"""What a recording consists of, as a JSON file beside its results.

It is for whoever keeps or checks recordings: names, sizes, SHA-256, what was lost, and which moment of the
day each part of the output shows.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

from panoreel.contracts.events import GapRecorded, Output
from panoreel.contracts.media import AUDIO_SAMPLE_RATE
from panoreel.contracts.outputs import OutputKind, Piece
from panoreel.contracts.task import Task
from panoreel.contracts.timeline import Timeline, arrange, pauses
from panoreel.eventlog.outputs import media_in_file
from panoreel.uploader import files
from panoreel.uploader.names import Place
from panoreel.uploader.shipment import Shipment

File: TypeAlias = dict[str, str | int | float | None]


async def store(shipment: Shipment) -> None:
    """Write the manifest of a task whose results are stored, from what rests in the blob store.

    Raises:
        StoreError, Transient, Permanent, LogUnavailable: it could not be stored now, or never can.
    """
    task = shipment.task
    found = [file for output in task.outputs for file in await _files(shipment, output)]
    content = describe(task, await _timeline(shipment), found)
    await shipment.put(shipment.destination.manifest(), content)


def describe(task: Task, timeline: Timeline, stored: Sequence[File]) -> bytes:
    """The manifest: times in UTC (ISO 8601), durations and places in the output in seconds."""
    times = {
        "CreateTime": task.create_time,
        "StartTime": task.start_time,
        "StopTime": task.stop_time,
        "FinishTime": task.finish_time,
    }
    document = {
        "Version": 1,
        "TaskID": task.public_id,
        **{name: time.isoformat() if time else None for name, time in times.items()},
        "Files": list(stored),
        "Gaps": [
            {"OutputTime": gap.output_s, "Lost": gap.lost_s, "WallTime": gap.wall_time.isoformat()}
            for gap in task.gaps
        ],
        "Epochs": list(_epochs(timeline)),
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _epochs(timeline: Timeline) -> Iterable[dict[str, Any]]:
    """Where each recorder's media begins in the output, and when its first picture there was shown."""
    told: set[int] = set()
    for stretch in timeline.stretches:
        if stretch.epoch not in told:
            told.add(stretch.epoch)
            yield {
                "Epoch": stretch.epoch,
                "WallTime": stretch.segments[0].wall_time.isoformat(),
                "OutputTime": stretch.output_sample / AUDIO_SAMPLE_RATE,
            }


async def _timeline(shipment: Shipment) -> Timeline:
    log, task_id = shipment.ledger.log, shipment.task.task_id
    history = [stored async for stored in log.history(task_id)]
    told = [stored.event for stored in history if isinstance(stored.event, GapRecorded)]
    return arrange(await media_in_file(log, shipment.task), pauses(history), told)


async def _files(shipment: Shipment, output: Output) -> list[File]:
    """Each object that an output consists of."""
    destination = shipment.destination
    pieces = await shipment.pieces(output)
    match output.kind:
        case "mp4":
            digest = await _whole_digest(shipment, output, pieces)
            return [_file(destination.result("mp4"), "mp4", output.bytes, digest, output.duration_s)]
        case "hls":
            playlist = files.final_playlist(shipment, pieces)
            digest = sha256(playlist).hexdigest()
            return [
                _file(destination.result("hls"), "hls", len(playlist), digest, output.duration_s),
                *(_piece(destination.segment(piece.number), piece) for piece in pieces),
            ]
        case "sprites":
            sheets = [_piece(destination.sheet(piece.number), piece) for piece in pieces]
            return [*sheets, await _single(shipment, output, destination.sprites())]
        case "poster":
            return [await _single(shipment, output, destination.poster())]


async def _single(shipment: Shipment, output: Output, place: Place) -> File:
    content = await shipment.read(output.blob_key, output.sha256)
    return _file(place, output.kind, len(content), output.sha256)


async def _whole_digest(shipment: Shipment, output: Output, pieces: Sequence[Piece]) -> str | None:
    """The SHA-256 of a file that was stored in parts: what it takes to read all of it once."""
    if not pieces:
        return output.sha256
    digest = sha256(await shipment.read(output.blob_key, output.sha256))
    for piece in pieces:
        content = await shipment.read(piece.blob_key, piece.sha256)
        await asyncio.to_thread(digest.update, content)
    return digest.hexdigest()


def _piece(place: Place, piece: Piece) -> File:
    duration_s = piece.samples / AUDIO_SAMPLE_RATE if piece.output == "hls" else None
    return _file(place, piece.output, piece.bytes, piece.sha256, duration_s)


def _file(
    place: Place, kind: OutputKind, size: int, digest: str | None, duration_s: float | None = None
) -> File:
    told: File = {"Name": place.filename, "Kind": kind, "Bytes": size, "Sha256": digest}
    return told if duration_s is None else told | {"Duration": duration_s}
