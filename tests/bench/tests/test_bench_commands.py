"""Each benchmark once, briefly, as its users run it. Limits are wide: nothing is measured here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PANOREEL = Path(sys.executable).with_name("panoreel")
TIMEOUT_S = 180


def bench(*arguments: str) -> dict[str, Any]:
    """Run `panoreel bench … --json`."""
    done = subprocess.run(
        [PANOREEL, "bench", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def test_capture() -> None:
    found = bench("capture", "--seconds", "2", "--rounds", "1", "--against", "gstreamer")
    assert (found["page"], found["seconds"]) == ("busy", 2)
    for way in ("ours", "gstreamer"):
        assert 0.1 < found[way]["cores"] < 4
        assert 2 < found[way]["fps"] < 31
        assert 0 <= found[way]["dropped"] < 60
    assert "mediarecorder" not in found


def test_sync() -> None:
    found = bench("sync", "--seconds", "5")
    assert found["pairs"] >= 3
    assert found["skew_ms"]["p95"] <= found["skew_ms"]["max"] < 200


def test_smoothness() -> None:
    found = bench("smoothness", "--seconds", "4")
    assert 0.5 * found["expected"] < found["present"] <= found["expected"]
    assert found["disordered"] == 0
    assert 20 < found["interval_ms"]["p50"] <= found["interval_ms"]["p99"] < 1100
    assert found["stamp_error_ms"]["p95"] < 1000


@pytest.mark.soak
def test_the_other_ways() -> None:
    found = bench("capture", "--seconds", "3", "--rounds", "1", "--against", "ffmpeg,mediarecorder,headless")
    assert found["ffmpeg"]["fps"] > 2
    assert found["mediarecorder"]["fps"] > 2
    assert found["headless"]["cores"] > 0.05
    assert found["headless"]["fps"] is None


@pytest.mark.soak
def test_start() -> None:
    found = bench("start", "--rounds", "1")
    for kind in ("warm_ms", "cold_ms"):
        assert 0 < found[kind]["p50"] <= found[kind]["p95"] < 30_000


@pytest.mark.soak
def test_density_and_memory() -> None:
    found = bench("density", "--recordings", "2", "--seconds", "6")
    assert found["recordings"] == 2
    assert found["present"] == found["expected"] >= 2
    memory = bench("memory", "--seconds", "8")
    assert 100 < memory["pss_mb"]["mean"] <= memory["pss_mb"]["max"] < 3000


@pytest.mark.soak
def test_sound_picture_and_bytes() -> None:
    assert bench("sound", "--seconds", "8")["crosstalk"] < 0.1
    picture = bench("picture")
    assert picture["ssim"] > 0.9
    assert picture["colour_error"] < 8
    assert 0.3 < bench("bytes", "--page", "slides", "--seconds", "4")["bytes_ratio"] < 5


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("capture", "--against", "magic"), 2, "magic is none of gstreamer, ffmpeg"),
        (("sync", "--page", "http://127.0.0.1:1/"), 1, "http://127.0.0.1:1/ could not be opened"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], exit_code: int, sentence: str) -> None:
    done = subprocess.run(
        [PANOREEL, "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )
    assert done.returncode == exit_code
    assert sentence in " ".join(done.stderr.split())


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    for program in (tmp_path / name for name in ("Xvfb", "pulseaudio", "chromium")):
        program.symlink_to("/bin/true")
    done = subprocess.run(
        [PANOREEL, "bench", "capture", "--seconds", "2", "--against", "gstreamer"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "gst-launch-1.0" in done.stderr
    assert "apt-get install" in done.stderr
