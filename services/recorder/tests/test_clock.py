"""Sound on the recording's time line: cut, filled, and brought back in step without a click."""

import numpy as np
import pytest

from panoreel.recorder.clock import HOLE_S, SoundTimeline

RATE = 48_000
BLOCK = 2048


def blocks(count: int, *, speed: float = 1.0, jitter_s: float = 0.0) -> list[tuple[np.ndarray, float]]:
    """A sine of 440 Hz in both channels, whose clock runs `speed` times as fast as ours."""
    rng = np.random.default_rng(1)
    wave = (10_000 * np.sin(2 * np.pi * 440 * np.arange(count * BLOCK) / RATE)).astype(np.int16)
    stereo = np.stack([wave, wave], axis=1)
    return [
        (
            stereo[number * BLOCK : (number + 1) * BLOCK],
            100 + number * BLOCK / RATE / speed + float(rng.uniform(0, jitter_s)),
        )
        for number in range(count)
    ]


def test_sound_begins_with_the_first_picture_to_the_sample() -> None:
    timeline = SoundTimeline()
    given = blocks(20)
    kept = [timeline.add(*block) for block in given[:10]]
    assert sum(map(len, kept)) == 0, "nothing before there is a picture"
    start = 100 + 3.5 * BLOCK / RATE
    timeline.begin(start)
    sound = np.concatenate([timeline.add(*block) for block in given[10:]])
    expected = np.concatenate([samples for samples, _ in given])[int(3.5 * BLOCK) :]
    assert np.array_equal(sound, expected)
    assert timeline.position == len(sound)


def test_a_hole_becomes_silence_of_its_length() -> None:
    timeline = SoundTimeline()
    timeline.begin(100)
    given = blocks(30)
    sound = np.concatenate([timeline.add(*block) for block in given[:10] + given[20:]])
    assert len(sound) == pytest.approx(30 * BLOCK, abs=2 * BLOCK)
    silent = np.flatnonzero(~sound.any(axis=1))
    assert len(silent) > (10 * BLOCK - HOLE_S * RATE * 2)


@pytest.mark.parametrize("speed", [0.9998, 1.0, 1.0002])
def test_drift_is_mended_without_a_step(speed: float) -> None:
    timeline = SoundTimeline()
    timeline.begin(100)
    given = blocks(2000, speed=speed, jitter_s=0.004)
    sound = np.concatenate([timeline.add(*block) for block in given])
    length_s = 2000 * BLOCK / RATE / speed
    assert len(sound) / RATE == pytest.approx(length_s, abs=0.01)
    steepest = 10_000 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(sound[:, 0].astype(int))).max() <= steepest * 1.1
