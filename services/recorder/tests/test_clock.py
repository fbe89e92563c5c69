"""Sound on the recording's time line: cut, filled, and brought back in step without a click."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES
from panoreel.recorder.clock import HOLE_S, SoundTimeline, Take, pts_of

RATE = 48_000
BLOCK = 2048
LAG = 6_000
"""How many samples later than it was played a block is read."""


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
    timeline.begin(Take(start))
    sound = np.concatenate([timeline.add(*block) for block in given[10:]])
    expected = np.concatenate([samples for samples, _ in given])[int(3.5 * BLOCK) :]
    assert np.array_equal(sound, expected)
    assert timeline.position == len(sound)


def test_a_hole_becomes_silence_of_its_length() -> None:
    timeline = SoundTimeline()
    timeline.begin(Take(100))
    given = blocks(30)
    sound = np.concatenate([timeline.add(*block) for block in given[:10] + given[20:]])
    assert len(sound) == pytest.approx(30 * BLOCK, abs=2 * BLOCK)
    silent = np.flatnonzero(~sound.any(axis=1))
    assert len(silent) > (10 * BLOCK - HOLE_S * RATE * 2)


@pytest.mark.parametrize("speed", [0.9998, 1.0, 1.0002])
def test_drift_is_mended_without_a_step(speed: float) -> None:
    timeline = SoundTimeline()
    timeline.begin(Take(100))
    given = blocks(2000, speed=speed, jitter_s=0.004)
    sound = np.concatenate([timeline.add(*block) for block in given])
    length_s = 2000 * BLOCK / RATE / speed
    assert len(sound) / RATE == pytest.approx(length_s, abs=0.01)
    steepest = 10_000 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(sound[:, 0].astype(int))).max() <= steepest * 1.1


@settings(max_examples=50)
@given_any(st.lists(st.integers(0, 12_000), min_size=1, max_size=12), st.integers(0, 3 * BLOCK))
def test_takes_follow_each_other_to_the_sample(steps: list[int], first: int) -> None:
    """Whatever is recorded and left out in turn, by `steps` of samples: none doubled, moved or invented."""
    moments = [100 + sample / RATE for sample in np.cumsum([first, *steps])]
    numbered = np.stack(np.divmod(np.arange(200_000), 1 << 15), axis=1).astype(np.int16)
    timeline, takes, heard = SoundTimeline(), [Take(moments[0])], []
    ahead = list(moments)
    for at in range(0, len(numbered) - BLOCK, BLOCK):
        while ahead and ahead[0] <= 100 + (at + LAG) / RATE:
            _step(timeline, takes, ahead.pop(0), opens=len(ahead) % 2 == len(moments[1:]) % 2)
        heard.append(timeline.add(numbered[at : at + BLOCK], 100 + at / RATE))
    sound = np.concatenate(heard).astype(int) @ (1 << 15, 1)
    assert timeline.position == len(sound)

    for number, (take, asked) in enumerate(zip(takes, moments[1::2], strict=False)):
        assert take.end_sample
        assert take.end_sample % AUDIO_FRAME_SAMPLES == 0
        assert 0 <= take.end - asked < AUDIO_FRAME_SAMPLES / RATE + 1e-6 or asked - take.start < 1e-9, number
        assert pts_of(take.end_sample) * RATE == take.end_sample * 90_000
    for take in takes:
        begin = round((take.start - 100) * RATE)
        played = sound[take.first_sample : take.end_sample]
        assert np.array_equal(played, np.arange(begin, begin + len(played)))
        assert len(played) == (take.end_sample or len(sound)) - take.first_sample
    assert all(later.first_sample == earlier.end_sample for earlier, later in pairwise(takes))


def _step(timeline: SoundTimeline, takes: list[Take], moment: float, *, opens: bool) -> None:
    """What `Capture` does when the first picture is shown, and then when a pause begins and ends in turn."""
    last = takes[-1]
    if opens and last.end_sample is not None:
        takes.append(Take(max(moment, last.end), last.end_sample))
    if opens:
        timeline.begin(takes[-1])
    else:
        last.end_after(moment, sample=timeline.position, pts=pts_of(last.first_sample))


def test_a_pause_that_is_told_late_begins_behind_what_was_recorded() -> None:
    timeline, take = SoundTimeline(), Take(100)
    timeline.begin(take)
    for block in blocks(4):
        timeline.add(*block)
    take.end_after(100.01, sample=timeline.position, pts=20_000)
    assert take.end_sample == 11 * AUDIO_FRAME_SAMPLES, "the first frame's end after 20,001 ticks"


def test_a_long_pause_is_no_hole_and_no_drift() -> None:
    """Stamps that drift by 50 ms while nothing is recorded leave no trace behind."""
    timeline, take = SoundTimeline(), Take(100)
    timeline.begin(take)
    given = blocks(3_000, speed=0.9996, jitter_s=0.002)
    sound = [timeline.add(*block) for block in given[:100]]
    take.end_after(100 + 100 * BLOCK / RATE, sample=timeline.position, pts=0)
    sound += [timeline.add(*block) for block in given[100:2_900]]
    timeline.begin(Take(given[2_900][1], take.end_sample or 0))
    sound += [timeline.add(*block) for block in given[2_900:]]
    joined = np.concatenate(sound)
    assert len(joined) == pytest.approx(200 * BLOCK, abs=2 * BLOCK)
    assert (joined != 0).any(axis=1).mean() > 0.95, "no silence"
    steps = np.abs(np.diff(joined[:, 0].astype(int)))
    assert (steps > 10_000 * 2 * np.pi * 440 / RATE * 1.1).sum() <= 1, "where the takes meet"
