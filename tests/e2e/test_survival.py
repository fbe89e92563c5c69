"""What is left when something dies in the middle of a recording."""

import asyncio
import itertools
from pathlib import Path

import httpx
import psutil

from panoreel.dispatch.audit import audit
from panoreel.dispatch.database import connect
from panoreel.eventlog.log import open_log
from tests.e2e import media
from tests.e2e.panoreel import Panoreel


def find_process(*words: str) -> psutil.Process:
    """The one process whose command line holds all `words`."""
    [found] = [
        process
        for process in psutil.process_iter(["cmdline"])
        if all(any(word in part for part in process.info["cmdline"] or ()) for word in words)
    ]
    return found


def test_a_killed_recording_goes_on(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    task_id = panoreel.act("Start", RecordURL=f"{site}/busy.html")["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    segments = panoreel.data / "blobs" / "segments" / task_id
    panoreel.await_task(task_id, lambda _: len(list(segments.glob("1/*.mp4"))) >= 2)
    find_process("panoreel.recorder.child").kill()
    panoreel.await_task(task_id, lambda _: len(list(segments.glob("2/*.mp4"))) >= 2)
    panoreel.act("Stop", TaskID=task_id)
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    assert task["RetryNum"] == 1

    [video] = task["Result"]["Videos"]
    out = tmp_path / "killed.mp4"
    out.write_bytes(httpx.get(video["FileURL"]).content)
    assert out.stat().st_size == video["FileSize"]
    assert media.decode_errors(out) == []
    numbers = [media.number(frame.picture) for frame in media.frames(out)]
    restarts = sum(1 for a, b in itertools.pairwise(numbers) if a is not None and b is not None and b < a)
    assert restarts == 1, "the page was opened twice, and both epochs are in the file"
    packaged = next(event for event in panoreel.events(task_id) if event["Type"] == "outputs_packaged")
    [gap] = packaged["Data"]["gaps"]
    assert 0 < gap["lost_s"] < 15


def test_a_stop_before_any_claim_ends_without_media(panoreel: Panoreel, site: str) -> None:
    recorder = find_process("panoreel.recorder")
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
        for _ in range(20):
            if not findings:
                break
            await asyncio.sleep(0.1)
            findings = await audit(engine, log)
    assert findings == []
