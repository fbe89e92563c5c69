"""What is added to the pieces of a recording that has ended: an index, a WebVTT, and their order."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

from panoreel.blobs.keys import output_key
from panoreel.blobs.store import Blobs
from panoreel.contracts import names
from panoreel.contracts.events import Output
from panoreel.contracts.media import AUDIO_SAMPLE_RATE
from panoreel.contracts.outputs import Piece
from panoreel.contracts.task import Task
from panoreel.contracts.timeline import Timeline
from panoreel.transcoder.mp4.movie import movie
from panoreel.transcoder.thumbnails import webvtt

_READ_AT_ONCE: Final = 8


def mp4(task: Task, blobs: Blobs, pieces: Sequence[Piece], timeline: Timeline) -> Output:
    """The file whose media are `pieces`, when its index is made and stored.

    Raises:
        ParameterSetsDiffer: two segments were encoded with different settings.
        BlobNotFound, OSError: the blob store fails.
    """
    with ThreadPoolExecutor(_READ_AT_ONCE, "tables") as pool:
        tables = pool.map(lambda piece: blobs.read(piece.index_key or ""), pieces)
        made = movie(timeline, zip(tables, (piece.bytes for piece in pieces), strict=True))
    key = output_key(task.task_id, "mp4/index")
    blobs.put_bytes(made.content, key)
    return Output(
        kind="mp4",
        blob_key=key,
        bytes=len(made.content) + sum(piece.bytes for piece in pieces),
        sha256=hashlib.sha256(made.content).hexdigest(),
        duration_s=timeline.samples / AUDIO_SAMPLE_RATE,
        frames=made.frames,
        pieces=tuple(piece.number for piece in pieces),
    )


def hls(pieces: Sequence[Piece], timeline: Timeline) -> Output:
    """The playlist's segments in the order of the output."""
    places = timeline.places
    shown = sorted(
        (piece for piece in pieces if all(place in places for place in piece.segments)),
        key=lambda piece: places[piece.segments[0]],
    )
    return Output(
        kind="hls",
        bytes=sum(piece.bytes for piece in shown),
        duration_s=sum(piece.samples for piece in shown) / AUDIO_SAMPLE_RATE,
        frames=sum(piece.frames for piece in shown),
        pieces=tuple(piece.number for piece in shown),
    )


def sprites(task: Task, blobs: Blobs, pieces: Sequence[Piece], samples: int) -> Output:
    """The sheets of an output that is so many audio samples long, when their WebVTT is made and stored.

    Raises:
        OSError: the blob store fails.
    """
    assert task.output.thumbnails is not None
    result = names.result_key(task.output, task.output.muxers[0], task.public_id, task.create_time)
    name = result.rpartition("/")[2]
    content = webvtt(
        samples,
        task.output.thumbnails,
        task.encoder,
        # A relative URL: names may hold what means something else there (RFC 3986 §2.2).
        lambda number: quote(names.part(name, task.task_id, f"-sprites-{number:05d}.jpg"), safe=""),
    )
    key = output_key(task.task_id, "sprites/vtt")
    blobs.put_bytes(content, key)
    return Output(
        kind="sprites",
        blob_key=key,
        bytes=len(content) + sum(piece.bytes for piece in pieces),
        sha256=hashlib.sha256(content).hexdigest(),
        duration_s=samples / AUDIO_SAMPLE_RATE,
        frames=sum(piece.frames for piece in pieces),
        pieces=tuple(piece.number for piece in pieces),
    )


def poster(piece: Piece) -> Output:
    """The one picture."""
    return Output(
        kind="poster",
        blob_key=piece.blob_key,
        bytes=piece.bytes,
        sha256=piece.sha256,
        duration_s=0,
        frames=piece.frames,
    )
