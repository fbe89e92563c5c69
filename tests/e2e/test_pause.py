"""A pause leaves nothing behind but its time: pictures and sound go on where they were."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e import media
from tests.e2e.panoreel import Panoreel

FRAME_S = 1 / 30
PAUSE_S = 5.0
TONE_HZ, AMPLITUDE = 440, 0.5


def await_event(panoreel: Panoreel, task_id: str, kind: str) -> None:
    deadline = time.monotonic() + 60
    while kind not in (event["Type"] for event in panoreel.events(task_id)):
        assert time.monotonic() < deadline, kind
        time.sleep(0.02)


def happened_at(events: list[dict[str, Any]], kind: str) -> float:
    [moment] = [event["Time"] for event in events if event["Type"] == kind]
    return datetime.fromisoformat(moment).timestamp()


def record_with_a_pause(panoreel: Panoreel, url: str, out: Path) -> str:
    """3 s of the page, a pause, and 3 s more; the task's id."""
    task_id: str = panoreel.act("Start", RecordURL=url)["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    time.sleep(3)
    panoreel.act("Pause", TaskID=task_id)
    assert panoreel.act("Describe", TaskID=task_id)["Status"] == "paused"
    await_event(panoreel, task_id, "recording_paused")
    time.sleep(PAUSE_S)
    panoreel.act("Resume", TaskID=task_id)
    assert panoreel.act("Describe", TaskID=task_id)["Status"] == "recording"
    await_event(panoreel, task_id, "recording_resumed")
    time.sleep(3)
    panoreel.act("Stop", TaskID=task_id)
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    [video] = task["Result"]["Videos"]
    out.write_bytes(httpx.get(video["FileURL"]).content)
    return task_id


def check_pictures(frames: list[tuple[float, int]], paused_s: float, slack: float) -> float:
    """Times and the page's own clock, in ms: they agree, but for the one step over the pause.

    Returns when the first picture after it is shown.
    """
    times, clock = np.array(frames).T
    steps_s = np.diff(clock) / 1000
    meeting = int(np.argmax(steps_s))
    assert steps_s[meeting] == pytest.approx(paused_s, abs=0.2 * slack)
    assert times[meeting + 1] - times[meeting] <= 2.5 * FRAME_S * slack
    others_s = np.delete(steps_s, meeting)
    assert (others_s >= 0).all()
    assert (others_s == 0).sum() < slack
    for side in (slice(0, meeting + 1), slice(meeting + 1, None)):
        lead_s = clock[side] / 1000 - times[side]
        assert np.abs(lead_s - np.median(lead_s)).max() < 0.1 * slack
        length_s = times[side][-1] - times[side][0]
        assert length_s >= 2.5
        assert len(times[side]) >= 15 * length_s / slack
    return float(times[meeting + 1])


def check_sound(samples: NDArray[np.float32], meeting_s: float, slack: float) -> None:
    """Around the pause, one tone: no step that it does not make itself, and no silence."""
    meeting = round(meeting_s * 48_000)
    around = samples[meeting - 9_600 : meeting + 9_600, 0]
    own_step = 2 * AMPLITUDE * np.sin(np.pi * TONE_HZ / 48_000)
    # Not farther: a page on a busy machine makes gaps of its own.
    assert np.abs(np.diff(around[6_720:13_440])).max() < 1.5 * own_step
    soft = np.abs(around.reshape(-1, 480)).max(axis=1) < 0.5 * AMPLITUDE
    assert soft.sum() <= 6 * slack, "more than 60 ms of fading, of which a pause needs less"
    for side in (around[:4_800], around[-4_800:]):
        assert media.tone_level(side[:, np.newaxis], TONE_HZ) > (1 - 0.1 * slack) * AMPLITUDE


def test_a_pause_of_a_running_clock(panoreel: Panoreel, site: str, tmp_path: Path, slack: float) -> None:
    file = tmp_path / "paused.mp4"
    task_id = record_with_a_pause(panoreel, f"{site}/clock.html", file)
    numbered = [(frame.time_s, media.number(frame.picture)) for frame in media.frames(file)]
    frames = [(time_s, number) for time_s, number in numbered if number is not None]
    assert len(frames) >= 0.98 * len(numbered)
    events = panoreel.events(task_id)
    assert panoreel.act("DescribeDetail", TaskID=task_id)["Gaps"] == [], "a pause is no loss"
    paused_s = happened_at(events, "recording_resumed") - happened_at(events, "recording_paused")
    whole_s = happened_at(events, "stop_requested") - happened_at(events, "recording_started")
    check_sound(media.sound(file), check_pictures(frames, paused_s, slack), slack)
    assert media.decode_errors(file) == []
    with av.open(str(file)) as container:
        [video], [audio] = container.streams.video, container.streams.audio
        lengths_s = [float((stream.duration or 0) * (stream.time_base or 0)) for stream in (video, audio)]
    assert lengths_s[0] == pytest.approx(lengths_s[1], abs=0.001)
    assert lengths_s[0] == pytest.approx(whole_s - paused_s, abs=0.5 * slack)

    asked = ("pause_requested", "recording_paused", "resume_requested", "recording_resumed")
    assert [event["Type"] for event in events if event["Type"] in asked] == list(asked)
