"""The figures of a recording, as they are counted."""

import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from panoreel.recorder.measured import Gauge, Processor, is_black, is_silent, tree_time_s

BLACK = np.zeros((720, 1280, 4), np.uint8)
SILENCE = np.zeros((2048, 2), np.int16)
TONE = np.full((2048, 2), 1000, np.int16)

BUSY = "import time\nwhile time.process_time() < 0.3: pass"


def painted(color: int, rows: slice, columns: slice, channel: slice = slice(3)) -> NDArray[np.uint8]:
    picture = BLACK.copy()
    picture[rows, columns, channel] = color
    return picture


@pytest.mark.parametrize(
    ("picture", "black"),
    [
        (BLACK, True),
        (painted(15, slice(None), slice(None)), True),
        (painted(255, slice(None), slice(None), slice(3, 4)), True),  # what X leaves over of a pixel
        (painted(16, slice(None), slice(None)), False),
        (painted(64, slice(301, 309), slice(700, 701)), False),  # a stroke of a small letter
        (painted(64, slice(None), slice(0, 1), slice(1)), False),
        (np.zeros((1, 1, 4), np.uint8), True),
        (np.full((1, 1, 4), 255, np.uint8), False),
    ],
)
def test_black(picture: NDArray[np.uint8], black: bool) -> None:
    assert is_black(picture) == black


@pytest.mark.parametrize(("sample", "silent"), [(32, True), (-32, True), (33, False), (-33, False)])
def test_silent(sample: int, silent: bool) -> None:
    samples = SILENCE.copy()
    samples[2000, 1] = sample
    assert is_silent(samples) == silent


def test_black_pictures_count_for_as_long_as_they_are_shown() -> None:
    gauge = Gauge(30)
    for picture, pts_s, changed in (
        (painted(200, slice(None), slice(None)), 0, True),
        (BLACK, 1, True),
        (BLACK, 2, False),
        (painted(200, slice(None), slice(None)), 3, True),
        (BLACK, 5, True),
    ):
        gauge.captured(changed=changed, late_s=0)
        gauge.encoded(picture, pts_s * 90_000, changed=changed)
    assert gauge.quality().black_s == 2
    gauge.finish(6 * 90_000)
    quality = gauge.quality()
    assert (quality.recorded_s, quality.black_s) == (6, 3)
    assert (quality.frames_captured, quality.frames_encoded, quality.frames_repeated) == (5, 5, 1)


def test_late_pictures_may_have_cost_others() -> None:
    gauge = Gauge(30)
    for late_s in (0, -0.004, 0.02, 0.034, 0.11):
        gauge.captured(changed=True, late_s=late_s)
    assert gauge.quality().frames_dropped == 1 + 3


def test_processors_are_measured_where_only_sound_is_recorded() -> None:
    gauge = Gauge(30)
    gauge.heard(TONE, 0)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    gauge.finish(0)
    assert gauge.quality().cores > 0


def test_skew_is_that_of_sound_against_picture() -> None:
    gauge = Gauge(30)
    assert (gauge.quality().skew_p50_ms, gauge.quality().skew_p95_ms) == (0, 0)
    gauge.captured(changed=True, late_s=0.01)
    for late_s in [0.004] * 60 + [-0.04] * 40:
        gauge.heard(TONE, late_s)
    quality = gauge.quality()
    assert (quality.skew_p50_ms, quality.skew_p95_ms) == (-6, 50)


def test_silence_gaps_and_steps() -> None:
    gauge = Gauge(30)
    for samples in (SILENCE, TONE, SILENCE):
        gauge.heard(samples, 0)
    gauge.interrupted(1.5)
    gauge.interrupted(0.25)
    gauge.stepped()
    gauge.discarded(0)
    quality = gauge.quality()
    assert quality.silence_s == pytest.approx(2 * 2048 / 48_000, abs=0.001)
    assert (quality.gaps, quality.gap_s, quality.preset_steps) == (2, 1.75, 1)


def test_programs_that_have_ended_count_as_those_that_run() -> None:
    before, processor = tree_time_s(), Processor()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    with subprocess.Popen([sys.executable, "-c", f"{BUSY}\ninput()"], stdin=subprocess.PIPE) as running:
        while (used_s := tree_time_s() - before) < 0.55:
            time.sleep(0.02)
        assert used_s < 2
        assert processor.cores(fresh=True) > 0.05
        running.communicate(b"\n")
