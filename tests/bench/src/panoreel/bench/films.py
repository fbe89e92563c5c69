"""The media that pages play, made on the fly: H.264 and AAC in MP4."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

FPS: Final = 30
SAMPLE_RATE: Final = 48_000
TONE_HZ: Final = 1000

Volume = Callable[[NDArray[np.float64]], NDArray[np.floating]]


@dataclass(frozen=True)
class Film:
    """Pictures that repeat with a period, and a sine on both sides whose volume depends on the time.

    `picture` maps a number below `period` to an array (height, width, 3) of uint8, RGB.
    """

    picture: Callable[[int], NDArray[np.uint8]]
    period: int
    volume: Volume


def moving(width: int = 1280, height: int = 720) -> Film:
    """Bars that move, and the tone."""
    x = np.arange(width)

    def picture(number: int) -> NDArray[np.uint8]:
        bars = (np.sin((x + 8 * number) / 40) * 100 + 128).astype(np.uint8)
        return np.tile(np.stack([bars, bars, 255 - bars], axis=1), (height, 1, 1))

    return Film(picture, 12 * FPS, lambda time: np.full_like(time, 0.3))


def flashing(width: int = 1280, height: int = 720) -> Film:
    """A white picture and the tone, together for the second fifth of each second."""

    def picture(number: int) -> NDArray[np.uint8]:
        on = FPS / 5 <= number % FPS < 2 * FPS / 5
        return np.full((height, width, 3), 255 if on else 0, np.uint8)

    return Film(picture, FPS, lambda time: 0.5 * ((time % 1 >= 0.2) & (time % 1 < 0.4)))


OF_PAGES: Final = {"busy": ("moving.mp4", moving), "sync": ("flashing.mp4", flashing)}
"""What pages play: the file, and what makes the film."""


def write(film: Film, path: Path, seconds: int) -> None:
    """Write `seconds` of the film. Each period is encoded once: long films cost little."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        first = film.picture(0)
        video.height, video.width, video.pix_fmt = first.shape[0], first.shape[1], "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        packets = []
        for number in range(min(film.period, seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(film.picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += video.encode(frame)
        packets += video.encode(None)
        coded = [(bytes(packet), packet.is_keyframe) for packet in packets]
        for number in range(seconds * FPS):
            data, is_keyframe = coded[number % film.period]
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.duration = video, Fraction(1, FPS), 1
            packet.pts = packet.dts = number
            packet.is_keyframe = is_keyframe
            container.mux(packet)
        for block in _tone(film.volume, seconds):
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def _tone(volume: Volume, seconds: int) -> list[av.AudioFrame]:
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    wave = (volume(time) * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.float32)
    blocks = []
    for start in range(0, len(wave), 1024):
        block = av.AudioFrame.from_ndarray(
            np.stack([wave[start : start + 1024]] * 2), format="fltp", layout="stereo"
        )
        block.rate, block.pts = SAMPLE_RATE, start
        blocks.append(block)
    return blocks
