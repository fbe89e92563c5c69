"""Which media makes which piece of an output: a fold over the segments as they are announced.

That order only gets longer, and nothing else is looked at: every replica makes the same pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE, Segment
from panoreel.contracts.outputs import HLS_PIECE_S, OutputKind
from panoreel.contracts.timeline import follows

_MIB: Final = 1 << 20

MP4_FIRST_BYTES: Final = 5 * _MIB
"""S3 and COS take no smaller part of a multipart upload, but for the last one."""

MP4_BYTES: Final = 8 * _MIB

MP4_GROWTH: Final = 1200
"""A piece has at least this fraction of what precedes it: 10 000 parts of up to 5 GiB make any object."""

SHEET_PICTURES: Final = 25
"""So few that the last sheet, which is made when the recording stops, does not take long."""

POSTER_S: Final = 30
"""A picture that shows something is looked for in so much media."""


@dataclass(frozen=True)
class PlannedPiece:
    """Media that belongs into one piece: `segments` in the order of their announcements.

    Of HLS they follow each other without a hole, unless one between them cannot be read and was left out.
    `first_sample` is where the first one begins in the output as announced, in audio samples.
    """

    output: OutputKind
    number: int
    segments: tuple[Segment, ...]
    first_sample: int
    left_out_bytes: int = 0

    @property
    def samples(self) -> int:
        """How long its media is, in audio samples."""
        return sum(_samples(segment) for segment in self.segments)

    def without(self, segment: Segment) -> "PlannedPiece":
        """The same piece, when a segment cannot be read."""
        left = tuple(other for other in self.segments if other != segment)
        left_out_bytes = self.left_out_bytes + _least_media_bytes(segment)
        return replace(self, segments=left, left_out_bytes=left_out_bytes)


@dataclass(frozen=True)
class PackagedPiece:
    """What is to be stored of a piece, encrypted if that was asked for; `index` tells of an mp4's samples."""

    content: bytes
    frames: int
    index: bytes | None = None


class Plan:
    """The pieces of one output. An announcement costs the same, however many there were."""

    def __init__(self, output: OutputKind, thumbnail_s: float = 10) -> None:
        """`thumbnail_s` is the time from one of the pictures on a sheet to the next."""
        self._output = output
        self._sheet_samples = SHEET_PICTURES * round(thumbnail_s * AUDIO_SAMPLE_RATE)
        self._open: list[Segment] = []
        self._first_sample = 0
        self._end_sample = 0
        self._open_bytes = 0
        self._closed_bytes = 0
        self.pieces: list[PlannedPiece] = []
        """Those that are complete."""

    def add(self, segment: Segment) -> Sequence[PlannedPiece]:
        """The pieces that the announcement of `segment` completes: none, one, or the one before it too."""
        complete = len(self.pieces)
        if self._output == "hls" and self._open and not follows(self._open[-1], segment):
            self._close()
        if self._output == "poster" and self.pieces:
            return []
        self._open.append(segment)
        self._open_bytes += _least_media_bytes(segment)
        self._end_sample += _samples(segment)
        if self._is_full():
            self._close()
        return self.pieces[complete:]

    def rest(self) -> Sequence[PlannedPiece]:
        """What is to be packaged besides when nothing more is announced; adding may go on all the same."""
        left = self._piece()
        return [left] if left.samples else []

    def _is_full(self) -> bool:
        open_samples = self._end_sample - self._first_sample
        match self._output:
            case "mp4":
                least = max(MP4_BYTES, self._closed_bytes // MP4_GROWTH) if self.pieces else MP4_FIRST_BYTES
                return self._open_bytes >= least
            case "hls":
                return open_samples >= HLS_PIECE_S * AUDIO_SAMPLE_RATE
            case "sprites":
                return self._end_sample >= self._sheet_samples * (len(self.pieces) + 1)
            case "poster":
                return open_samples >= POSTER_S * AUDIO_SAMPLE_RATE

    def _piece(self) -> PlannedPiece:
        return PlannedPiece(self._output, len(self.pieces), tuple(self._open), self._first_sample)

    def _close(self) -> None:
        self.pieces.append(self._piece())
        self._closed_bytes += self._open_bytes
        sheet_end = self._sheet_samples * len(self.pieces)
        # A segment in which one sheet ends and the next begins is read for both.
        shared = self._output == "sprites" and self._end_sample > sheet_end
        self._open = self._open[-1:] if shared else []
        self._first_sample = self._end_sample - sum(_samples(segment) for segment in self._open)
        self._open_bytes = 0


def _samples(segment: Segment) -> int:
    return segment.end_sample - segment.first_sample


def _least_media_bytes(segment: Segment) -> int:
    """What certainly remains of a segment without its headers: 2 KiB, and 16 bytes for each sample."""
    samples = segment.frames + _samples(segment) // AUDIO_FRAME_SAMPLES
    return max(0, segment.bytes - 2048 - 16 * samples)
