"""One encoder run, a process of its own: `encode_epoch.py '{"directory": …, "epoch": 1, "steps": [3000]}'`.

Its pictures carry the numbers from `number` on, each shown for a step of 90 kHz ticks, with a tone to it.
Before those at the indexes `pauses` the recording is paused, which is at a multiple of 1920 ticks.
With `noise`, no picture is like the one before it, so that there are many bytes.
Prints a `SegmentMedia` a line.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.encoder import SegmentEncoder

WIDTH, HEIGHT, BIT = 319, 180, 16


def encode(
    directory: str,
    epoch: int,
    steps: list[int],
    *,
    preset: str = "veryfast",
    parameters: dict[str, Any],
    number: int = 0,
    frequency: float = 440,
    phase: float = 0,
    pauses: Sequence[int] = (),
    noise: bool = False,
) -> None:
    spool, partial = Path(directory), Path(directory) / "partial"
    partial.mkdir(parents=True)
    encoder = SegmentEncoder(
        EncoderParameters(**({"width": WIDTH, "height": HEIGHT} | parameters)),
        epoch=epoch,
        partial=partial,
        spool=spool,
        wall_clock=lambda pts: datetime(2026, 1, 1, epoch, tzinfo=UTC) + timedelta(seconds=pts / 90_000),
        on_sealed=lambda _, media: print(media.model_dump_json()),
        preset=preset,
    )
    width, height = parameters.get("width", WIDTH), parameters.get("height", HEIGHT)
    shape = (height // 4 + 1, width // 2 + 1, 4)
    random = np.random.default_rng(epoch)
    texture = random.integers(0, 256, shape, np.uint8)
    texture = texture.repeat(4, 0).repeat(4, 1)
    begins = list(accumulate(steps, initial=0))
    samples = np.arange(begins[-1] * 48_000 // 90_000)
    wave = (16_000 * np.sin(2 * np.pi * frequency / 48_000 * samples + phase)).astype(np.int16)
    for index, (begin, end) in enumerate(pairwise(begins)):
        if index in pauses:
            encoder.cut(begin)
        picture = texture[:height, 2 * index % width :][:, :width].copy()
        if noise:
            picture = random.integers(0, 256, picture.shape, np.uint8)
        for bit in range(16):
            picture[:BIT, bit * BIT : (bit + 1) * BIT] = 255 * (number + index >> bit & 1)
        if parameters.get("tracks") == "audio":
            encoder.tick(begin)
        else:
            encoder.video(picture, begin)
        first, after = (pts * 48_000 // 90_000 for pts in (begin, end))
        encoder.audio(np.stack([wave[first:after]] * 2, axis=1), first)
    encoder.close(begins[-1])


if __name__ == "__main__":
    encode(**json.loads(sys.argv[1]))
