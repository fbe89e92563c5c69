"""What is left when something dies in the middle of a recording."""

import asyncio
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from panoreel.contracts.identifiers import scoped
from panoreel.dispatch.audit import audit
from panoreel.dispatch.database import connect
from panoreel.eventlog.log import open_log
from tests.e2e import media
from tests.e2e.panoreel import Panoreel
from tests.servers.leftovers import still_alive

COMMANDS = {
    "dispatch": ("-m", "panoreel.dispatch"),
    "recorder": ("-m", "panoreel.recorder"),
    "child": ("-m", "panoreel.recorder.child"),
    "transcoder": ("-m", "panoreel.transcoder"),
    "uploader": ("-m", "panoreel.uploader"),
    "notifier": ("-m", "panoreel.notifier"),
    "nats": ("nats-server",),
    "postgres": ("postgres",),
    "weed": ("weed",),
    "chromium": ("chromium",),
}
BYSTANDERS = sorted(COMMANDS.keys() - {"recorder", "child", "chromium"})


def find_process(panoreel: Panoreel, name: str) -> psutil.Process:
    """A process of this stack: the first one that runs this program."""
    stack = psutil.Process(panoreel.endpoints["pid"])
    for process in stack.children(recursive=True):
        try:
            words = [Path(word).name for word in process.cmdline()]
        except psutil.NoSuchProcess:  # or a zombie
            continue
        if all(word in words for word in COMMANDS[name]):
            return process
    raise LookupError(name)


def start(panoreel: Panoreel, url: str, segments: int) -> str:
    """Start a recording and wait until it has this many segments."""
    task_id: str = panoreel.act("Start", RecordURL=url)["TaskID"]
    await_segments(panoreel, task_id, 1, segments)
    return task_id


def await_segments(panoreel: Panoreel, task_id: str, epoch: int, count: int) -> None:
    """Wait until this many segments of an epoch rest in the blob store."""
    blobs = panoreel.data / "blobs" / "segments" / scoped("default", task_id) / str(epoch)
    deadline = time.monotonic() + 60
    while len(list(blobs.glob("*.mp4"))) < count:
        assert time.monotonic() < deadline, panoreel.act("Describe", TaskID=task_id)
        time.sleep(0.1)


def finish(panoreel: Panoreel, task_id: str, out: Path) -> tuple[dict[str, Any], list[int]]:
    """Stop the recording and fetch it: the task, and the numbers that its page drew."""
    panoreel.act("Stop", TaskID=task_id)
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished", timeout_s=90)
    [video] = task["Result"]["Videos"]
    out.write_bytes(httpx.get(video["FileURL"]).content)
    assert out.stat().st_size == video["FileSize"]
    assert media.decode_errors(out) == []
    numbers = [media.number(frame.picture) for frame in media.frames(out)]
    return task, [number for number in numbers if number is not None]


def restarts(numbers: list[int]) -> int:
    """How often the page was opened anew."""
    return sum(1 for before, after in pairwise(numbers) if after < before)


@pytest.mark.parametrize("name", ["child", "recorder"])
def test_a_killed_recorder_loses_at_most_the_open_segment(
    panoreel: Panoreel, site: str, tmp_path: Path, name: str
) -> None:
    task_id = start(panoreel, f"{site}/sync.html", segments=2)
    victim = find_process(panoreel, name)
    programs = victim.children(recursive=True)
    victim.kill()
    await_segments(panoreel, task_id, epoch=2, count=1)
    assert still_alive(programs) == [], "neither what was recorded nor a browser that waited is left"
    task, numbers = finish(panoreel, task_id, tmp_path / "killed.mp4")
    assert task["RetryNum"] == 1
    assert restarts(numbers) == 1, "the page was opened twice, and both epochs are in the file"
    packaged = next(event for event in panoreel.events(task_id) if event["Type"] == "outputs_packaged")
    [gap] = packaged["Data"]["gaps"]
    assert 0 < gap["lost_s"] < 60
    result = panoreel.act("DescribeDetail", TaskID=task_id)["Result"]
    duration_s = result["Videos"][0]["FileDuration"]
    assert result["Quality"]["RecordedTime"] == pytest.approx(duration_s, abs=2), "of both recorders"


def test_a_killed_browser_is_a_gap_in_the_same_recording(
    panoreel: Panoreel, site: str, tmp_path: Path
) -> None:
    task_id = start(panoreel, f"{site}/sync.html", segments=1)
    find_process(panoreel, "chromium").kill()
    await_event(panoreel, task_id, "gap_recorded")
    assert panoreel.act("Describe", TaskID=task_id)["Status"] == "recording"
    time.sleep(3)  # of what comes after the gap, something must be captured
    task, numbers = finish(panoreel, task_id, tmp_path / "gap.mp4")
    assert "RetryNum" not in task
    assert restarts(numbers) == 1
    events = {event["Type"]: event["Data"] for event in panoreel.events(task_id)}
    told = [kind for kind in events if kind in ("recording_started", "capture_interrupted", "gap_recorded")]
    assert told == ["recording_started", "capture_interrupted", "gap_recorded"]
    gap = events["gap_recorded"]
    assert gap["cause"] == events["capture_interrupted"]["cause"] == "browser"
    lost = datetime.fromisoformat(gap["ended"]) - datetime.fromisoformat(gap["began"])
    [packaged] = events["outputs_packaged"]["gaps"]
    assert packaged["lost_s"] == pytest.approx(lost.total_seconds(), abs=0.2)


def await_event(panoreel: Panoreel, task_id: str, kind: str) -> None:
    """Wait until this has happened to the task."""
    deadline = time.monotonic() + 60
    while not any(event["Type"] == kind for event in panoreel.events(task_id)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_recording_does_not_notice_who_else_dies(
    panoreel: Panoreel, site: str, tmp_path: Path, slack: float
) -> None:
    task_id = start(panoreel, f"{site}/sync.html", segments=1)
    for name in BYSTANDERS:
        find_process(panoreel, name).kill()
        time.sleep(1)
    deadline = time.monotonic() + 60
    while "ErrorCode" in panoreel.try_act("Describe", TaskID=task_id):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    task, numbers = finish(panoreel, task_id, tmp_path / "survived.mp4")
    assert "RetryNum" not in task
    assert restarts(numbers) == 0
    assert len(set(numbers)) >= (25 * task["Result"]["Videos"][0]["FileDuration"] - 30) / slack


def test_a_recording_that_hangs_is_ended_with_what_it_has(
    panoreel: Panoreel, site: str, tmp_path: Path
) -> None:
    task_id = start(panoreel, f"{site}/sync.html", segments=2)
    find_process(panoreel, "child").suspend()
    task, numbers = finish(panoreel, task_id, tmp_path / "hung.mp4")
    assert task["Result"]["Videos"][0]["FileDuration"] >= 4
    assert numbers == sorted(numbers)


def test_a_stop_before_any_claim_ends_without_media(panoreel: Panoreel, site: str) -> None:
    recorder = find_process(panoreel, "recorder")
    recorder.suspend()
    try:
        task_id = panoreel.act("Start", RecordURL=f"{site}/still.html")["TaskID"]
        panoreel.act("Stop", TaskID=task_id)
        task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    finally:
        recorder.resume()
    assert "Result" not in task
    assert "StartTime" not in task


async def test_log_archive_and_read_model_agree_after_all_this(panoreel: Panoreel) -> None:
    endpoints = panoreel.endpoints
    async with open_log(endpoints["nats"], "test") as log, connect(endpoints["postgres"]) as engine:
        findings = await audit(engine, log)
        for _ in range(200):
            if not findings:
                break
            await asyncio.sleep(0.1)
            findings = await audit(engine, log)
    assert findings == []
