"""What is in a recording, read back by decoding it. A recording is a list of files, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.codec.context import CodecContext
from numpy.typing import NDArray

SAMPLE_RATE: Final = 48_000
CELL: Final = 16
BITS: Final = 24

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """A decoded picture's luma, shape (height, width), shown from `time_s` on."""

    time_s: float
    luma: Picture


@dataclass(frozen=True)
class Sound:
    """Samples of shape (n, 2) at 48 kHz, -1 to 1; the first one is heard at `start_s`."""

    start_s: float
    samples: NDArray[np.float32]


def frames(files: Sequence[Path]) -> Iterator[Frame]:
    """All pictures, in order."""
    for file in files:
        with av.open(str(file)) as container:
            for frame in container.decode(video=0):
                assert frame.time is not None
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                yield Frame(frame.time, rows[: frame.height, : frame.width].copy())


def sound(files: Sequence[Path]) -> Sound:
    """All sound, by one decoder: files may end anywhere in it. Silence stands for what is missing."""
    blocks: list[NDArray[np.float32]] = []
    start: int | None = None
    position = 0
    for frame in _audio_frames(files):
        assert frame.pts is not None
        assert frame.time_base is not None
        at = round(frame.pts * float(frame.time_base) * SAMPLE_RATE)
        if start is None:
            start = position = at
        if at > position + 1:
            blocks.append(np.zeros((at - position, 2), np.float32))
            position = at
        block = frame.to_ndarray().T.astype(np.float32)
        blocks.append(block)
        position += len(block)
    return Sound((start or 0) / SAMPLE_RATE, np.concatenate([np.zeros((0, 2), np.float32), *blocks]))


def _audio_frames(files: Sequence[Path]) -> Iterator[av.AudioFrame]:
    decoder: AudioCodecContext | None = None
    resampler = AudioResampler("fltp", "stereo", SAMPLE_RATE)
    for file in files:
        with av.open(str(file)) as container:
            stream = container.streams.audio[0]
            if decoder is None:
                created = CodecContext.create(stream.codec_context.name, "r")
                assert isinstance(created, AudioCodecContext)
                decoder = created
                decoder.extradata = stream.codec_context.extradata
                decoder.layout, decoder.sample_rate = stream.layout.name, stream.rate
            for packet in container.demux(stream):
                if packet.size:
                    for frame in decoder.decode(packet):
                        frame.time_base = packet.time_base
                        yield from resampler.resample(frame)


def number(picture: Picture) -> int | None:
    """The number that a page drew (see `pages/counter.js`), luma or RGB; None when none can be read."""
    row = picture[-CELL:, : CELL * BITS]
    cells = row.reshape(CELL, BITS, CELL, -1)[4:-4, :, 4:-4].mean(axis=(0, 2, 3))
    if ((cells > 60) & (cells < 195)).any():
        return None
    return int("".join("1" if cell > 128 else "0" for cell in cells), 2)


def onsets(samples: NDArray[np.float32], *, threshold: float = 0.05) -> list[float]:
    """Times in seconds, from the first sample on, at which sound begins after at least 0.1 s of silence."""
    loud = np.flatnonzero(np.abs(samples).max(axis=1) > threshold)
    if not len(loud):
        return []
    first = np.concatenate(([0], np.flatnonzero(np.diff(loud) > SAMPLE_RATE // 10) + 1))
    return [float(loud[index]) / SAMPLE_RATE for index in first if loud[index] > 0]


def flashes(files: Sequence[Path]) -> list[float]:
    """Times in seconds at which the middle of the picture turns from dark to light."""
    times, was_light = [], True
    for frame in frames(files):
        height, width = frame.luma.shape
        light = bool(frame.luma[height // 3 : height // 2, width // 3 : width // 2].mean() > 128)
        if light and not was_light:
            times.append(frame.time_s)
        was_light = light
    return times
