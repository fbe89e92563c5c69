"""A piece of an MP4: the media of its segments, and beside it what the file's index will need of them."""

from dataclasses import replace

from panoreel.transcoder.errors import ParameterSetsDiffer
from panoreel.transcoder.mp4 import tables
from panoreel.transcoder.mp4.fragments import take_apart
from panoreel.transcoder.mp4.tables import PICTURES
from panoreel.transcoder.pieces import PackagedPiece, PlannedPiece
from panoreel.transcoder.source import Read, verified


def package(piece: PlannedPiece, read: Read) -> PackagedPiece:
    """Package the media of a piece, which is in memory then; `read` gives the content of a segment.

    Raises:
        SegmentDamaged: a segment is not what was announced.
        ParameterSetsDiffer: two segments were encoded with different settings.
    """
    header, media, found, frames = b"", bytearray(), tables.Tables(), 0
    for segment in piece.segments:
        fragment = take_apart(segment, verified(segment, read))
        header = header or fragment.header
        if fragment.header != header:
            raise ParameterSetsDiffer
        runs = tuple(replace(run, offset=run.offset + len(media)) for run in fragment.runs)
        found[segment.epoch, segment.index] = runs
        frames += sum(run.count for run in runs if run.kind == PICTURES)
        media += fragment.media
    # What was left out leaves room: the piece may be one part of many, none of which may be too small.
    return PackagedPiece(bytes(media) + bytes(piece.left_out_bytes), frames, tables.written(header, found))
