"""What the benchmarks read out of media, told by media whose faults are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from panoreel.bench import films, media
from panoreel.bench.errors import RecordingFailed
from panoreel.bench.sound import SIDES_HZ, continuity
from panoreel.bench.ssim import ssim
from panoreel.bench.sync import skew

SECONDS = 8


def numbered(number: int, height: int = 90, width: int = 400) -> media.Picture:
    """A picture with a number at its bottom left, as `pages/counter.js` draws it."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(media.BITS):
        on = number >> (media.BITS - 1 - bit) & 1
        left = bit * media.CELL
        picture[-media.CELL :, left : left + media.CELL] = 255 * on
    return picture


def test_a_file_with_a_known_skew(tmp_path: Path) -> None:
    """The picture comes 2 frames, the sound 20 ms after the full second."""
    film = films.Film(
        lambda number: np.full((90, 160, 3), 255 if 2 <= number < 8 else 0, np.uint8),
        films.FPS,
        lambda time: 0.5 * ((time % 1 >= 0.02) & (time % 1 < 0.2)),
    )
    files = [tmp_path / "skewed.mp4"]
    films.write(film, files[0], SECONDS)
    sound = media.sound(files)
    found = skew(media.flashes(files), [sound.start_s + onset for onset in media.onsets(sound.samples)])
    assert (found["pairs"], found["unpaired"]) == (SECONDS, 0)
    assert found["skew_ms"]["p50"] == pytest.approx(2000 / films.FPS - 20, abs=3)
    assert found["skew_ms"]["max"] - found["skew_ms"]["p50"] < 3
    assert abs(found["drift_ms_per_min"]) < 10


def test_skew_grows_and_has_a_sign() -> None:
    flashes = [float(second) for second in range(120)]
    beeps = [flash + 0.010 + 0.002 * flash / 60 for flash in flashes]
    found = skew(flashes, beeps)
    assert found["drift_ms_per_min"] == pytest.approx(-2, abs=0.01)
    assert found["skew_ms"] == {
        "p50": pytest.approx(-12, abs=0.1),
        "p95": pytest.approx(13.8, abs=0.1),
        "max": pytest.approx(14, abs=0.1),
    }


@pytest.mark.parametrize(
    ("lost_flash", "lost_beep", "unpaired"), [(None, None, 0), (4, None, 1), (4, 7, 2), (0, 9, 0)]
)
def test_what_has_no_other(lost_flash: int | None, lost_beep: int | None, unpaired: int) -> None:
    flashes = [second + 0.02 for second in range(10) if second != lost_flash]
    beeps = [float(second) for second in range(10) if second != lost_beep]
    found = skew(flashes, beeps)
    assert (found["flashes"], found["beeps"], found["unpaired"]) == (len(flashes), len(beeps), unpaired)


def test_without_beeps_nothing_is_told() -> None:
    with pytest.raises(RecordingFailed, match="4 flashes and 0 beeps"):
        skew([1.0, 2.0, 3.0, 4.0], [])


def test_numbers_survive_encoding(tmp_path: Path) -> None:
    film = films.Film(lambda number: numbered(number * 1234), 10, np.zeros_like)
    files = [tmp_path / "numbers.mp4"]
    films.write(film, files[0], 1)
    found = [media.number(frame.luma) for frame in media.frames(files)]
    assert found == [number % 10 * 1234 for number in range(films.FPS)]
    assert media.number(numbered(4711)) == 4711
    assert media.number(np.full((90, 400), 128, np.uint8)) is None


def sines(seconds: float = 6.0) -> NDArray[np.float32]:
    """What the page `sine` plays, with a pause from 2 s to 4 s."""
    time = np.arange(round(seconds * media.SAMPLE_RATE)) / media.SAMPLE_RATE
    sounding = 1 - np.clip((time - 2) / 0.02, 0, 1) + np.clip((time - 4) / 0.02, 0, 1)
    waves = [0.3 * sounding * np.sin(2 * np.pi * hertz * time) for hertz in SIDES_HZ]
    return np.stack(waves, axis=1).astype(np.float32)


def silenced(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    samples[50_000:52_000] = 0
    return samples


def silent(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    samples[210_000:234_000] = 0
    return samples


def begun_late(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((3 * media.SAMPLE_RATE, 2), np.float32), samples])


def ended_early(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([samples, np.zeros((3 * media.SAMPLE_RATE, 2), np.float32)])


def clicked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    samples[50_000] += 0.1
    return samples


def shortened(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.delete(samples, slice(50_000, 50_030), axis=0)


def swapped(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples[:, ::-1].copy()


def hissing(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    samples[150_000:] += 0.01
    return samples


def test_a_whole_sine() -> None:
    found = continuity(sines())
    assert found["runs"] == 2
    assert found["tone_s"] == pytest.approx(3.6, abs=0.2)
    assert found["gaps"] == found["clicks"] == found["silence"] == 0
    assert found["phase_jump_degrees"] < 0.1
    assert found["crosstalk"] < 0.01


@pytest.mark.parametrize(
    ("damage", "figure", "least"),
    [
        (silenced, "gaps", 1),
        (silent, "gaps", 1),
        (begun_late, "gaps", 1),
        (ended_early, "gaps", 1),
        (clicked, "clicks", 1),
        (shortened, "phase_jump_degrees", 30),
        (hissing, "silence", 0.005),
    ],
)
def test_a_damaged_sine(damage: Any, figure: str, least: float) -> None:
    assert continuity(damage(sines()))[figure] >= least


def test_sides_that_are_mixed_up() -> None:
    with pytest.raises(RecordingFailed, match="no tone"):
        continuity(swapped(sines()))


def test_structural_similarity() -> None:
    picture = np.tile(np.arange(64.0) * 4, (48, 1))
    noise = np.random.default_rng(1).normal(0, 12, picture.shape)
    assert ssim(picture, picture) == pytest.approx(1)
    assert ssim(picture, picture + noise) < ssim(picture, picture + noise / 3) < 0.99
    with pytest.raises(ValueError, match="cannot be compared"):
        ssim(picture, picture[1:])
