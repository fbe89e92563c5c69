"""Keyframe intervals, one track alone, and presets that change while a recording goes on."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, EncoderParameters
from panoreel.recorder import h264
from tests.servers.epoch import BEGIN, SECOND, Epoch, number, numbered, sine

SIZE = {"width": 320, "height": 180}


@pytest.fixture
def epoch(tmp_path: Path) -> Callable[..., Epoch]:
    return lambda **parameters: Epoch(tmp_path, EncoderParameters(**SIZE | parameters))


@pytest.mark.parametrize(
    ("interval_s", "step_s", "seconds", "keyframes_s"),
    [
        (0.5, 0.1, 5, [[0, 0.5, 1, 1.5], [2, 2.5, 3, 3.5], [4, 4.5]]),
        (1.5, 0.1, 7, [[0, 1.5], [3, 4.5], [6]]),
        (2, 0.1, 5, [[0], [2], [4]]),
        (4, 0.1, 9, [[0], [4], [8]]),
        # A still page has a picture a second: none comes in time for an interval that is no whole number.
        (0.5, 1, 5, [[0, 1], [2, 3], [4]]),
        (2.5, 1, 7, [[0], [3], [6]]),
    ],
)
def test_a_segment_holds_whole_keyframe_intervals(
    epoch: Callable[..., Epoch],
    interval_s: float,
    step_s: float,
    seconds: int,
    keyframes_s: list[list[float]],
) -> None:
    run = epoch(keyframe_interval_s=interval_s)
    count = round(seconds / step_s)
    for index in range(count):
        run.encoder.video(numbered(index), round(index * step_s * SECOND))
    run.encoder.close(seconds * SECOND)
    assert [media.first_pts / SECOND for _, media in run.reported] == [first for first, *_ in keyframes_s]
    found = [packet.pts for packet in run.packets("video") if packet.is_keyframe]
    assert found == [key * SECOND for segment in keyframes_s for key in segment]
    assert [number(frame) for frame in run.pictures()] == list(range(count))


def test_sound_alone(epoch: Callable[..., Epoch]) -> None:
    """Segments without pictures meet on the grid of sound, and a cut can lie before the last tick."""
    run = epoch(tracks="audio")
    wave = sine(8 * 48_000)
    cut_sample = 230 * AUDIO_FRAME_SAMPLES  # 4.907 s
    for second in range(5):
        run.encoder.tick(second * SECOND + (second > 0) * 700)
        run.encoder.audio(
            wave[second * 48_000 : (second + 1) * 48_000][: cut_sample - second * 48_000], second * 48_000
        )
    run.encoder.tick(round(4.95 * SECOND))
    run.encoder.cut(cut_sample * 15 // 8, cut_sample * 15 // 8 - 1_000)
    run.encoder.audio(wave[cut_sample:], cut_sample)
    for tick_s in (0, 1.01, 2.02):
        run.encoder.tick(cut_sample * 15 // 8 + round(tick_s * SECOND))
    run.encoder.close(8 * SECOND)

    media = [media for _, media in run.reported]
    assert [one.frames for one in media] == [0] * 4
    assert [one.first_pts % 1_920 for one in media] == [0] * 4
    assert [round(one.first_pts / SECOND, 1) for one in media] == [0, 2, 4.9, 6.9]
    assert all(one.wall_time == BEGIN + timedelta(seconds=one.first_pts / SECOND) for one in media)
    sounds = run.packets("audio")
    assert [packet.pts for packet in sounds] == list(range(0, media[-1].end_sample, AUDIO_FRAME_SAMPLES))
    sound = run.sound()
    for steady in (slice(2_048, cut_sample - 2_048), slice(cut_sample + 4_096, 8 * 48_000 - 2_048)):
        assert np.abs(sound[steady] - wave[steady, 0] / 32_768).max() < 0.025
    with pytest.raises(ValueError, match="not enough values"):
        run.packets("video")


def test_pictures_alone(epoch: Callable[..., Epoch]) -> None:
    """They are sealed when sound would be given up, which is not waited for, and dropped if it comes."""
    run = epoch(tracks="video")
    for index in range(45):
        run.encoder.video(numbered(index), 9_000 * index)
    run.encoder.audio(sine(48_000), 0)
    run.await_reports(1)
    run.encoder.cut(45 * 9_600)
    run.encoder.video(numbered(45), 45 * 9_600)
    run.encoder.close(45 * 9_600 + 1)
    media = [media for _, media in run.reported]
    assert [one.frames for one in media] == [20, 20, 5, 1]
    assert [(one.first_sample, one.end_sample) for one in media[1:3]] == [
        (96_256, 192_512),
        (192_512, 230_400),
    ]
    assert [number(frame) for frame in run.pictures()] == list(range(46))
    with pytest.raises(ValueError, match="not enough values"):
        run.packets("audio")


def test_presets_change_between_segments(epoch: Callable[..., Epoch]) -> None:
    """From each to each: no picture is lost, the header stays, and all of it decodes as one file."""
    run = epoch()
    order = [h264.PRESETS[index % len(h264.PRESETS)] for index in (0, 1, 2, 1, 0, 2, 0)]
    used = []
    for index in range(len(order) * 20):
        run.encoder.set_preset(order[index // 20])
        run.encoder.video(numbered(index), 9_000 * index)
        used.append(run.encoder.preset)
    run.encoder.close(len(used) * 9_000)
    assert used == [preset for preset in order for _ in range(20)]
    assert [media.frames for _, media in run.reported] == [20] * len(order)
    contents = [path.read_bytes() for path, _ in run.reported]
    assert len({content[: content.index(b"moof") - 4] for content in contents}) == 1
    assert [number(frame) for frame in run.pictures()] == list(range(len(used)))
    packets = run.packets("video")
    assert [packet.pts for packet in packets] == [9_000 * index for index in range(len(used))]
    assert {packet.duration for packet in packets} == {9_000}
    assert [packet.is_keyframe for packet in packets] == [index % 20 == 0 for index in range(len(used))]
