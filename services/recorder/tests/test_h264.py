"""Rate control: what is asked for is kept, no header tells of it, and no picture is held back for it."""

from itertools import pairwise

import numpy as np
import pytest

from panoreel.contracts import x264
from panoreel.contracts.media import VIDEO_TIMESCALE, EncoderParameters
from panoreel.recorder import h264
from panoreel.recorder.pictures import PictureEncoder

FPS = 15
SECONDS = 12
KEYFRAME_PICTURES = 2 * FPS


def encoded(preset: str = "veryfast", **rate: int) -> tuple[list[int], bytes]:
    """The bytes of each picture of a scene that is hard to encode, and the header."""
    encoder = PictureEncoder(EncoderParameters(width=320, height=180, fps=FPS, **rate), preset)
    random = np.random.default_rng(1)
    scene = np.kron(random.integers(0, 256, (90, 160, 4), np.uint8), np.ones((4, 4, 1), np.uint8))
    packets = []
    for index in range(FPS * SECONDS):
        x, y = 3 * index % 300, 2 * index % 170
        picture = np.ascontiguousarray(scene[y : y + 180, x : x + 320])
        pts = index * VIDEO_TIMESCALE // FPS
        given = encoder.encode(picture, pts, key=index % KEYFRAME_PICTURES == 0)
        assert len(given) == min(index, 1), "one picture is held back, from the first on"
        packets += given
    packets += encoder.end_run(SECONDS * VIDEO_TIMESCALE)
    return [packet.size for packet in packets], encoder.stream.codec_context.extradata or b""


@pytest.mark.parametrize("kbit_s", [150, 600])
def test_a_bit_rate_is_kept_in_the_mean_and_its_peak_everywhere(kbit_s: int) -> None:
    outcomes = [encoded(preset, bitrate=1000 * kbit_s) for preset in h264.PRESETS]
    assert len({header for _, header in outcomes}) == 1
    for sizes, _ in outcomes:
        later = sizes[KEYFRAME_PICTURES:]
        assert sum(later) * 8 / (len(later) / FPS) / 1000 == pytest.approx(kbit_s, rel=0.15)
        for length in (FPS, 4 * FPS):
            most = max(sum(sizes[first : first + length]) for first in range(len(sizes) - length))
            assert most * 8 / 1000 <= 1.05 * (1.5 * kbit_s * length / FPS + 2 * kbit_s)


def test_a_higher_crf_takes_fewer_bytes() -> None:
    sizes = [sum(encoded(crf=crf)[0]) for crf in (1, 20, 30, 45)]
    assert all(more > 1.5 * fewer for more, fewer in pairwise(sizes))


@pytest.mark.parametrize(
    ("bitrate", "level"), [(10_000_000, "3.1"), (12_000_000, "3.2"), (50_000_000, "5.0")]
)
def test_the_level_allows_for_the_peak_of_the_bit_rate(bitrate: int, level: str) -> None:
    """ITU-T H.264, table A-1, times 1.25 for High profile (A-2)."""
    assert x264.level(EncoderParameters(width=1280, height=720, bitrate=bitrate)) == level
