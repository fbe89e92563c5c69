"""Hours of recorded media in no time: a minute that was encoded once, again and again."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from panoreel.contracts.media import (
    AUDIO_FRAME_SAMPLES,
    AUDIO_SAMPLE_RATE,
    VIDEO_TIMESCALE,
    EncoderParameters,
    SegmentMedia,
    ticks,
)
from panoreel.recorder.encoder import SegmentEncoder

MINUTE_SAMPLES: Final = 2812 * AUDIO_FRAME_SAMPLES
"""Nearly a minute, in whole audio frames, so that it can follow on itself."""

PICTURES_PER_S: Final = 15
RESTLESS_ROWS: Final = 48
"""Of each picture, so much is new: it makes about 2 Mbit/s."""
BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Film:
    """Sealed segments of one encoder run, and their content."""

    segments: tuple[tuple[SegmentMedia, bytes], ...]

    def repeated(self, times: int) -> Iterator[tuple[SegmentMedia, bytes]]:
        """What a recorder would have sealed had the film been shown so often."""
        last, _ = self.segments[-1]
        for time in range(times):
            for media, content in self.segments:
                ticks, samples = time * last.end_pts, time * last.end_sample
                yield (
                    media.model_copy(
                        update={
                            "index": time * len(self.segments) + media.index,
                            "first_pts": media.first_pts + ticks,
                            "end_pts": media.end_pts + ticks,
                            "first_sample": media.first_sample + samples,
                            "end_sample": media.end_sample + samples,
                            "wall_time": media.wall_time + timedelta(seconds=ticks / VIDEO_TIMESCALE),
                        }
                    ),
                    _moved(content, ticks, samples),
                )


def film(directory: Path, parameters: EncoderParameters) -> Film:
    """A minute of a page that moves, and a tone, encoded as a recorder does it; `directory` is empty."""
    partial, spool = directory / "partial", directory / "spool"
    for made in (partial, spool):
        made.mkdir()
    sealed: list[tuple[Path, SegmentMedia]] = []
    encoder = SegmentEncoder(
        parameters,
        epoch=1,
        partial=partial,
        spool=spool,
        wall_clock=lambda pts: BEGIN + timedelta(seconds=pts / VIDEO_TIMESCALE),
        on_sealed=lambda path, media: sealed.append((path, media)),
    )
    end_pts = ticks(MINUTE_SAMPLES)
    step = VIDEO_TIMESCALE // PICTURES_PER_S
    sheet = _sheet(parameters)
    for number, pts in enumerate(range(0, end_pts, step)):
        top = 2 * number % parameters.height
        picture = sheet[top : top + parameters.height].copy()
        picture[:RESTLESS_ROWS] = sheet[
            -RESTLESS_ROWS:, np.random.default_rng(number).permutation(parameters.width)
        ]
        encoder.video(picture, pts)
        first, after = (min(at, end_pts) * AUDIO_SAMPLE_RATE // VIDEO_TIMESCALE for at in (pts, pts + step))
        encoder.audio(_tone(first, after), first)
    encoder.close(end_pts)
    return Film(tuple((media, path.read_bytes()) for path, media in sealed))


def _sheet(parameters: EncoderParameters) -> NDArray[np.uint8]:
    """Twice a page's height of boxes, as a page that scrolls shows them."""
    random = np.random.default_rng(1)
    boxes = random.integers(
        0, 256, (2 * parameters.height // 20 + 1, parameters.width // 40 + 1, 4), np.uint8
    )
    sheet = boxes.repeat(20, 0).repeat(40, 1)
    return sheet[: 2 * parameters.height, : parameters.width]


def _tone(first: int, after: int) -> NDArray[np.int16]:
    wave = 8000 * np.sin(np.arange(first, after) * 2 * np.pi * 440 / AUDIO_SAMPLE_RATE)
    return np.stack([wave.astype(np.int16)] * 2, axis=1)


def _moved(content: bytes, ticks: int, samples: int) -> bytes:
    """The segment with its times moved: the `tfdt` of pictures, then of sound (ISO/IEC 14496-12, 8.8.12)."""
    moved = bytearray(content)
    position = 0
    for offset in (ticks, samples):
        position = moved.index(b"tfdt", position) + 8
        if moved[position - 4] != 1:
            raise ValueError("a segment's times are not in 64 bits")
        [time] = struct.unpack_from(">Q", moved, position)
        struct.pack_into(">Q", moved, position, time + offset)
    return bytes(moved)
