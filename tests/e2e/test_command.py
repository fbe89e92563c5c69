"""The command line as a person uses it: with a stack of its own, and with Ctrl-C."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from panoreel.client import Panoreel as Client
from tests.e2e import media
from tests.e2e.panoreel import PANOREEL, Panoreel
from tests.servers.leftovers import nothing_left

ROOT = Path(__file__).parents[2]


def test_make_record_needs_nothing_else_and_leaves_nothing(site: str, tmp_path: Path) -> None:
    out = tmp_path / "made.mp4"
    with nothing_left():
        done = subprocess.run(
            ["make", "record", f"URL={site}/still.html?token=hunter2", "SECONDS=3", f"OUT={out}"],
            cwd=ROOT,
            env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert done.returncode == 0, done.stderr
    assert f"{out}  {out.stat().st_size} bytes, 3.0 s" in done.stdout
    for event in ("task_created", "recording_started", "outputs_uploaded", "callback_skipped"):
        assert event in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert media.decode_errors(out) == []


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

    # A name that has to be quoted wherever it is part of a URL.
    name = ("--target-name", "lesson #1: 50%?")
    task_id = run("start", f"{site}/still.html", "--muxer", "both", *name, "--max-duration", "60")
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    assert run("pause", task_id) == "paused"
    assert run("resume", task_id) == "recording"
    time.sleep(2)
    run("stop", task_id)
    *_, finished, file, playlist = run("watch", task_id).splitlines()
    assert finished.endswith("finished")
    for line, extension in ((file, ".mp4"), (playlist, ".m3u8")):
        url, _ = line.split("  ")
        assert url.endswith(f"/lesson%20%231%3A%2050%25%3F{extension}")
        assert url in run("describe", task_id)
        assert url in run("list", "--status", "finished")
    with Client(
        panoreel.endpoints["api"], panoreel.endpoints["app_key"], panoreel.endpoints["app_secret"]
    ) as client:
        for video in client.wait(task_id).videos:
            out = tmp_path / f"directed{Path(video.filename).suffix}"
            client.download(video, out)
            assert len(list(media.frames(out))) >= 2
    assert media.decode_errors(tmp_path / "directed.mp4") == []
