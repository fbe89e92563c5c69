"""One encoder run, and what comes out of it, decoded."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from panoreel.contracts.media import EncoderParameters, SegmentMedia
from panoreel.recorder.encoder import SegmentEncoder
from panoreel.recorder.segments import sealed

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = 90_000
BIT = 16
"""Side of a square, white for 1, of the number in the upper left corner of a picture."""

Picture = NDArray[np.uint8]


@dataclass
class Epoch:
    """An encoder with its directories, and when it told of each segment."""

    root: Path
    parameters: EncoderParameters
    preset: str = "veryfast"
    reported: list[tuple[Path, SegmentMedia]] = field(default_factory=list)
    reported_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.partial, self.spool = self.root / "partial", self.root / "spool"
        self.partial.mkdir(parents=True)
        self.spool.mkdir()
        self.encoder = SegmentEncoder(
            self.parameters,
            epoch=3,
            partial=self.partial,
            spool=self.spool,
            wall_clock=lambda pts: BEGIN + timedelta(seconds=pts / SECOND),
            on_sealed=self._report,
            preset=self.preset,
        )

    def _report(self, path: Path, media: SegmentMedia) -> None:
        self.reported.append((path, media))
        self.reported_at.append(time.monotonic())

    def await_reports(self, count: int) -> None:
        """Wait until `count` segments are sealed."""
        deadline = time.monotonic() + 30
        while len(self.reported) < count:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def packets(self, kind: str) -> list[Packet[Any]]:
        """The packets of all sealed segments."""
        return [packet for path, _ in sealed(self.spool) for packet in demux(path, kind)]

    def pictures(self) -> list[av.VideoFrame]:
        """All pictures, from one decoder, as if the segments were one file."""
        return list(decode(self.packets("video")))

    def sound(self) -> NDArray[np.float32]:
        """The left channel of all sound, from one decoder."""
        return np.concatenate([frame.to_ndarray()[0] for frame in decode(self.packets("audio"))])


def demux(path: Path, kind: str) -> Iterator[Packet[Any]]:
    with av.open(str(path)) as container:
        (stream,) = (stream for stream in container.streams if stream.type == kind)
        yield from (packet for packet in container.demux(stream) if packet.pts is not None)


def decode(packets: list[Packet[Any]]) -> Iterator[Any]:
    decoder = packets[0].stream.codec_context
    for packet in (*packets, None):
        yield from decoder.decode(packet)


def numbered(number: int, width: int = 320, height: int = 180) -> Picture:
    picture = np.full((height, width, 4), 90, np.uint8)
    for bit in range(16):
        picture[:BIT, bit * BIT : (bit + 1) * BIT] = 255 * (number >> bit & 1)
    return picture


def number(frame: av.VideoFrame) -> int:
    luma = frame.to_ndarray()[BIT // 2, BIT // 2 : 16 * BIT : BIT]
    return sum(1 << bit for bit, value in enumerate(luma) if value > 125)


def sine(samples: int, frequency: float = 440, phase: float = 0) -> NDArray[np.int16]:
    wave = 16_000 * np.sin(np.arange(samples) * 2 * np.pi * frequency / 48_000 + phase)
    return np.repeat(wave.astype(np.int16)[:, np.newaxis], 2, axis=1)
