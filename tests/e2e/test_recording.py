"""What comes out of a recording, by decoding it."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from tests.e2e import media
from tests.e2e.panoreel import Panoreel, Recorded

SECONDS = 6


def check_file(recorded: Recorded, seconds: float, slack: float) -> None:
    """What holds for every recording: format, layout, length, and that it decodes without a complaint."""
    assert recorded.exit_code == 0, recorded.stderr
    assert recorded.answer["status"] == "finished"
    assert recorded.answer["bytes"] == recorded.file.stat().st_size
    with av.open(str(recorded.file)) as container:
        [video], [audio] = container.streams.video, container.streams.audio
        assert (video.codec_context.name, video.codec_tag) == ("h264", "avc1")
        assert (video.width, video.height) == (1280, 720)
        assert (audio.codec_context.name, audio.rate, audio.layout.name) == ("aac", 48_000, "stereo")
        for stream in (video, audio):
            assert stream.start_time == 0
            assert stream.duration is not None
            assert stream.time_base is not None
            assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.5)
        assert container.duration is not None
        assert recorded.answer["duration_s"] == pytest.approx(container.duration / av.time_base, abs=0.5)
    order = media.boxes(recorded.file)
    assert order.index("moov") < order.index("mdat")
    assert media.decode_errors(recorded.file) == []
    finished_s = recorded.event_time_s("outputs_uploaded") - recorded.event_time_s("stop_requested")
    assert finished_s <= 8 * slack


def check_counter(path: Path, seconds: float, slack: float) -> None:
    """The page's numbers come in order, none twice, at least 28 a second."""
    numbers = [media.number(frame.picture) for frame in media.frames(path)]
    seen = [number for number in numbers if number is not None]
    assert len(seen) >= 0.98 * len(numbers), "numbers that cannot be read: torn or covered"
    assert seen == sorted(seen)
    assert len(set(seen)) >= 28 * (seconds - 0.5) / slack


def is_black(picture: media.Picture) -> bool:
    return bool(picture.mean() < 3)


def test_the_demo_page(panoreel: Panoreel, tmp_path: Path, slack: float) -> None:
    recorded = panoreel.record("", tmp_path / "demo.mp4", "--seconds", str(SECONDS))
    check_file(recorded, SECONDS, slack)
    check_counter(recorded.file, SECONDS, slack)
    assert not any(is_black(frame.picture) for frame in media.frames(recorded.file))
    assert len(media.onsets(media.sound(recorded.file))) >= SECONDS - 1
    assert recorded.events == [
        "task_created",
        "recording_claimed",
        "recording_started",
        "stop_requested",
        "recording_measured",
        "recording_stopped",
        "outputs_packaged",
        "outputs_uploaded",
        "callback_skipped",
    ]


def test_a_busy_page(panoreel: Panoreel, site: str, tmp_path: Path, slack: float) -> None:
    recorded = panoreel.record(f"{site}/busy.html", tmp_path / "busy.mp4", "--seconds", str(SECONDS))
    check_file(recorded, SECONDS, slack)
    check_counter(recorded.file, SECONDS, slack)
    assert media.tone_level(media.sound(recorded.file), 1000) > 0.2


def test_a_media_file(panoreel: Panoreel, site: str, tmp_path: Path, slack: float) -> None:
    recorded = panoreel.record(f"{site}/media/moving.mp4", tmp_path / "media.mp4", "--seconds", str(SECONDS))
    check_file(recorded, SECONDS, slack)
    assert media.tone_level(media.sound(recorded.file), 1000) > 0.2
    pictures = [frame.picture for frame in media.frames(recorded.file)]
    moved = [np.abs(a.astype(int) - b.astype(int)).mean() > 1 for a, b in itertools.pairwise(pictures)]
    assert sum(moved) > 25 * (SECONDS - 1) / slack
    middle = pictures[len(pictures) // 2]
    # The bars fill the picture from edge to edge: no controls at the bottom, no black bars.
    assert middle.std(axis=0)[5:-5, :2].max() < 8


def test_a_still_page(panoreel: Panoreel, site: str, tmp_path: Path, slack: float) -> None:
    recorded = panoreel.record(f"{site}/still.html", tmp_path / "still.mp4", "--seconds", str(SECONDS))
    check_file(recorded, SECONDS, slack)
    for frame in media.frames(recorded.file):
        corners = [frame.picture[y, x] for y in (10, -10) for x in (10, -10)]
        for corner in corners:
            assert np.abs(corner.astype(int) - (0xCC, 0, 0)).max() <= 4
        assert frame.picture[350, 1200].min() >= 250
    assert np.abs(media.sound(recorded.file)).max() < 0.001


@pytest.mark.parametrize("page", ["media/flashing.mp4", "beep.html"])
def test_picture_and_sound_are_together(
    panoreel: Panoreel, site: str, tmp_path: Path, slack: float, page: str
) -> None:
    recorded = panoreel.record(f"{site}/{page}", tmp_path / "sync.mp4", "--seconds", "8")
    check_file(recorded, 8, slack)
    beeps = media.onsets(media.sound(recorded.file))
    flashes = media.flashes(recorded.file)
    skews_ms = [1000 * (flash - min(beeps, key=lambda beep: abs(beep - flash))) for flash in flashes]
    assert len(skews_ms) >= 6
    # The first one may come while the page is still being opened.
    assert np.median(np.abs(skews_ms[1:])) <= 20 * slack, skews_ms
    assert np.percentile(np.abs(skews_ms[1:]), 80) <= 40 * slack, skews_ms
