"""The rows that take long or measure, in full. What they print goes into `docs/measurements.md`."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from panoreel.bench.processes import cpu_s
from tests.e2e import media
from tests.e2e.panoreel import PANOREEL, Panoreel
from tests.e2e.test_recording import check_counter, check_file
from tests.e2e.test_survival import BYSTANDERS, await_segments, find_process, finish, restarts, start
from tests.servers.leftovers import nothing_left

pytestmark = pytest.mark.soak

PORT = 18100


def cores_while_recording(panoreel: Panoreel, url: str, seconds: int) -> tuple[str, float]:
    """Record; the task, and the cores that the recording's own processes use once it runs."""
    task_id = panoreel.act("Start", RecordURL=url, MaxDurationLimit=seconds)["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    child = find_process(panoreel, "child")
    time.sleep(3)
    used, began = cpu_s([child.pid]), time.monotonic()
    time.sleep(seconds - 6)
    cores = (cpu_s([child.pid]) - used) / (time.monotonic() - began)
    panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    return task_id, cores


def test_a_still_page_costs_next_to_nothing(panoreel: Panoreel, site: str) -> None:
    task_id, cores = cores_while_recording(panoreel, f"{site}/still.html", 30)
    print(f"still page, 30 s: {cores:.3f} cores")
    [video] = panoreel.act("Describe", TaskID=task_id)["Result"]["Videos"]
    assert video["FileDuration"] == 30
    assert cores <= 0.10


def test_what_a_busy_page_costs(panoreel: Panoreel, site: str) -> None:
    _, cores = cores_while_recording(panoreel, f"{site}/busy.html", 30)
    print(f"busy page, 30 s: {cores:.2f} cores")


@pytest.mark.parametrize("page", ["", "{site}/busy.html"])
def test_a_minute(panoreel: Panoreel, site: str, tmp_path: Path, page: str) -> None:
    recorded = panoreel.record(page.format(site=site), tmp_path / "minute.mp4", "--seconds", "60")
    check_file(recorded, 60, slack=1)
    check_counter(recorded.file, 60, slack=1)
    times = [frame.time_s for frame in media.frames(recorded.file)]
    intervals_ms = np.diff(times) * 1000
    took_s = recorded.event_time_s("outputs_uploaded") - recorded.event_time_s("stop_requested")
    percentiles = ", ".join(f"p{p} {np.percentile(intervals_ms, p):.1f}" for p in (50, 95, 99))
    print(f"{page or 'demo'}: {len(times) / 60:.2f} frames/s, intervals in ms {percentiles}")
    print(f"stored {took_s:.2f} s after the end")


@pytest.mark.parametrize("name", ["child", "recorder", *BYSTANDERS])
@pytest.mark.parametrize("after_s", [0.5, 2.5])
def test_each_process_may_die_at_any_moment(
    panoreel: Panoreel, site: str, tmp_path: Path, name: str, after_s: float
) -> None:
    task_id = start(panoreel, f"{site}/sync.html", segments=1)
    time.sleep(after_s)
    find_process(panoreel, name).kill()
    if name in ("child", "recorder"):
        await_segments(panoreel, task_id, epoch=2, count=1)
    else:
        time.sleep(3)
    while "ErrorCode" in panoreel.try_act("Describe", TaskID=task_id):
        time.sleep(0.2)
    _, numbers = finish(panoreel, task_id, tmp_path / "survived.mp4")
    assert restarts(numbers) == (name in ("child", "recorder"))


def test_later_starts_are_quick(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with nothing_left():
        for run in (1, 2, 3):
            began = time.monotonic()
            command: list[str | Path] = [PANOREEL, "up", "--data-dir", data, "--port", str(PORT)]
            up = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            api_s = _seconds_until(began, _api_answers)
            all_s = _seconds_until(began, (data / "endpoints.json").exists)
            assert json.loads((data / "endpoints.json").read_text())["pid"] == up.pid
            up.send_signal(signal.SIGTERM)
            assert up.wait(60) == 0
            print(f"run {run}: API after {api_s:.1f} s, everything after {all_s:.1f} s")
            assert run == 1 or (api_s <= 5 and all_s <= 8)


def _api_answers() -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", PORT)) == 0


def _seconds_until(began: float, true: Callable[[], bool]) -> float:
    while not true():
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    return time.monotonic() - began
