"""What is told about how well a recording went."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import media
from tests.e2e.panoreel import Panoreel

SECONDS = 11


def silence_s(path: Path) -> float:
    """For how long nothing is heard, in blocks of 10 ms."""
    samples = media.sound(path)
    blocks = np.abs(samples[: len(samples) // 480 * 480]).reshape(-1, 960).max(axis=1)
    return float((blocks < 0.002).sum() / 100)


def black_s(path: Path) -> float:
    """For how long nothing is seen but black."""
    shown = [(frame.time_s, bool(frame.picture.max() < 20)) for frame in media.frames(path)]
    return sum(until - since for (since, black), (until, _) in pairwise(shown) if black)


def test_quality_is_told_with_the_result(panoreel: Panoreel, site: str, tmp_path: Path, slack: float) -> None:
    """Of a page that draws ten times a second, and is silent for 3 s and black for 3 s."""
    recorded = panoreel.record(f"{site}/quality.html", tmp_path / "out.mp4", "--seconds", str(SECONDS))
    assert recorded.exit_code == 0, recorded.stderr
    ending = ["stop_requested", "recording_measured", "recording_stopped"]
    begin = recorded.events.index(ending[0])
    assert recorded.events[begin : begin + len(ending)] == ending
    quality = panoreel.act("DescribeDetail", TaskID=recorded.answer["task_id"])["Result"]["Quality"]
    assert quality["RecordedTime"] == pytest.approx(SECONDS, abs=0.5)
    assert quality["SilenceTime"] == pytest.approx(silence_s(recorded.file), abs=0.2)
    assert quality["BlackTime"] == pytest.approx(black_s(recorded.file), abs=0.2)
    assert quality["SilenceTime"] > 3 - 0.2 * slack
    assert quality["BlackTime"] > 3 - 0.2 * slack
    assert quality["FramesEncoded"] == len(list(media.frames(recorded.file)))
    assert quality["FramesCaptured"] == pytest.approx(quality["FramesEncoded"], abs=1)
    # Black letters on black are no change to the screen, or one that cannot be seen.
    drawn = quality["FramesEncoded"] - quality["FramesRepeated"]
    assert 10 * (SECONDS - 3.5) / slack <= drawn + quality["FramesDropped"] <= 10 * SECONDS + 5 * slack
    assert quality["FramesRepeated"] <= SECONDS
    assert abs(quality["SkewP50"]) <= quality["SkewP95"] < 200 * slack
    assert 0 < quality["Cores"] < 2
    assert (quality["Gaps"], quality["GapTime"]) == (0, 0)
