"""What is in a recording, read back by decoding it."""

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from panoreel.bench import media
from panoreel.bench.media import BITS as BITS
from panoreel.bench.media import CELL as CELL
from panoreel.bench.media import Picture as Picture
from panoreel.bench.media import number as number
from panoreel.bench.media import onsets as onsets


@dataclass(frozen=True)
class Frame:
    """A decoded picture, RGB of shape (height, width, 3), shown from `time_s` on."""

    time_s: float
    picture: Picture


def frames(path: Path) -> Iterator[Frame]:
    """All pictures, in order."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            yield Frame(frame.time, frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))


def sound(path: Path) -> NDArray[np.float32]:
    """All samples, shape (n, 2), 48 kHz."""
    return media.sound([path]).samples


def decode_errors(path: Path) -> list[str]:
    """Whatever ffprobe and ffmpeg complain about, the latter while it decodes all of the file."""
    probe = ["ffprobe", "-v", "warning", "-show_format", "-show_streams", "-of", "json", str(path)]
    decode = ["ffmpeg", "-nostdin", "-v", "warning", "-xerror", "-i", str(path)]
    # Its usual clock is too coarse for pictures that follow each other soon.
    decode += ["-enc_time_base", "-1", "-f", "null", "-"]
    complaints = []
    for command in (probe, decode):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        complaints += [f"{command[0]}: {line}" for line in done.stderr.splitlines()]
        assert (done.returncode == 0) or complaints
    return complaints


def boxes(path: Path) -> list[str]:
    """The types of a file's top-level boxes, in order (ISO/IEC 14496-12 §4.2)."""
    found = []
    with path.open("rb") as file:
        while header := file.read(8):
            size, kind = struct.unpack(">I4s", header)
            found.append(kind.decode())
            skip = struct.unpack(">Q", file.read(8))[0] - 16 if size == 1 else size - 8
            file.seek(skip, 1)
    return found


def tone_level(samples: NDArray[np.float32], frequency_hz: float) -> float:
    """The amplitude of one frequency in mono, 0 to 1."""
    mono = samples.mean(axis=1)
    wave = np.exp(-2j * np.pi * frequency_hz * np.arange(len(mono)) / 48_000)
    return float(2 * abs(np.dot(mono, wave)) / len(mono))


def flashes(path: Path) -> list[float]:
    """Times in seconds at which the middle of the picture turns from dark to light."""
    return media.flashes([path])
