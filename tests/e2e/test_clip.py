"""Clips of a recording, asked for while it runs and after it has ended, by the page's own counter."""

import time
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.e2e import media
from tests.e2e.panoreel import Panoreel

RANGES = ((0.7, 2.35), (4.111, 5.9), (3.0, 4.2))


def fetch(panoreel: Panoreel, task_id: str, out: Path) -> Path:
    """The file of a task, as soon as it is finished."""
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    [video] = task["Result"]["Videos"]
    out.write_bytes(httpx.get(video["FileURL"]).content)
    return out


def ask(panoreel: Panoreel, recording: str) -> str:
    """The id of the clip, as soon as so much is recorded."""
    ranges = [{"Start": start, "End": end} for start, end in RANGES]
    deadline = time.monotonic() + 60
    while "TaskID" not in (answer := panoreel.act("Clip", TaskID=recording, Ranges=ranges)):
        assert time.monotonic() < deadline, answer
        assert answer["ErrorCode"] == "InvalidParam"
        time.sleep(0.5)
    clip: str = answer["TaskID"]
    return clip


def counted(path: Path) -> list[tuple[float, int | None]]:
    """When each picture is shown, and the number on it."""
    return [(frame.time_s, media.number(frame.picture)) for frame in media.frames(path)]


def test_clips_of_a_recording(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    task_id = panoreel.act("Start", RecordURL=f"{site}/busy.html")["TaskID"]
    early = ask(panoreel, task_id)
    early_file = fetch(panoreel, early, tmp_path / "early.mp4")
    assert panoreel.act("Describe", TaskID=task_id)["Status"] == "recording"
    panoreel.act("Stop", TaskID=task_id)
    recording = fetch(panoreel, task_id, tmp_path / "recording.mp4")
    late_file = fetch(panoreel, ask(panoreel, task_id), tmp_path / "late.mp4")

    assert early_file.read_bytes() == late_file.read_bytes()
    assert media.decode_errors(early_file) == []
    shown = counted(recording)
    spans = [(begin, end, number) for (begin, number), (end, _) in pairwise([*shown, (float("inf"), None)])]
    expected = [
        number
        for start, stop in RANGES
        for begin, end, number in spans
        if begin < stop and end > start + 1e-6
    ]
    found = counted(early_file)
    assert len(expected) > 10
    assert [number for _, number in found] == expected
    sound_s = len(media.sound(early_file)) / 48_000
    asked_s = sum(stop - start for start, stop in RANGES)
    assert sound_s == pytest.approx(asked_s, abs=len(RANGES) * 1024 / 48_000)
    assert [event["Type"] for event in panoreel.events(early)] == [
        "clip_created",
        "outputs_packaged",
        "outputs_uploaded",
        "callback_skipped",
    ]
