"""The command line as a person uses it: with a stack of its own, and with Ctrl-C."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from panoreel.client import Panoreel as Client
from tests.e2e import media
from tests.e2e.panoreel import PANOREEL, Panoreel, leftovers

ROOT = Path(__file__).parents[2]


def test_make_record_needs_nothing_else_and_leaves_nothing(site: str, tmp_path: Path) -> None:
    before = leftovers()
    out = tmp_path / "made.mp4"
    done = subprocess.run(
        ["make", "record", f"URL={site}/still.html?token=hunter2", "SECONDS=3", f"OUT={out}"],
        cwd=ROOT,
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert f"{out}: {out.stat().st_size} bytes, 3.0 s" in done.stdout
    for event in ("task_created", "recording_started", "outputs_uploaded", "callback_skipped"):
        assert event in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert media.decode_errors(out) == []
    assert leftovers() - before == set()


def test_ctrl_c_ends_the_recording_and_keeps_it(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    out = tmp_path / "interrupted.mp4"
    page = f"{site}/still.html"
    command: list[str | Path] = [
        PANOREEL,
        "record",
        page,
        "--seconds",
        "600",
        "--out",
        out,
        "--data-dir",
        panoreel.data,
    ]
    recording = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert recording.stderr
    while "recording" not in recording.stderr.readline():
        assert recording.poll() is None
    time.sleep(3)
    recording.send_signal(signal.SIGINT)
    _, errors = recording.communicate(timeout=60)
    assert recording.returncode == 0
    assert "the recording is kept" in errors
    length_s = list(media.frames(out))[-1].time_s
    assert length_s == pytest.approx(3, abs=1.5)


def test_a_recording_is_directed_from_the_command_line(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        command: list[str | Path] = [PANOREEL, *arguments, "--data-dir", panoreel.data]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    task_id = run("start", f"{site}/still.html", "--target-name", "directed", "--max-duration", "60")
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    assert run("pause", task_id) == "paused"
    assert run("resume", task_id) == "recording"
    time.sleep(2)
    run("stop", task_id)
    *_, finished, file = run("watch", task_id).splitlines()
    assert finished.endswith("finished")
    url, _ = file.split(": ")
    assert url.endswith("/directed.mp4")
    assert url in run("describe", task_id)
    assert url in run("list", "--status", "finished")
    out = tmp_path / "directed.mp4"
    with Client(
        panoreel.endpoints["api"], panoreel.endpoints["app_key"], panoreel.endpoints["app_secret"]
    ) as client:
        client.download(client.wait(task_id).videos[0], out)
    assert media.decode_errors(out) == []
