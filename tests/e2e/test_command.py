"""The command line as a person uses it: with a stack of its own, and with Ctrl-C."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

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
    page, server = f"{site}/still.html", panoreel.endpoints["api"]
    command: list[str | Path] = [
        PANOREEL,
        "record",
        page,
        "--seconds",
        "600",
        "--out",
        out,
        "--server",
        server,
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
