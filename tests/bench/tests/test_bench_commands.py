"""Each benchmark once, briefly, as its users run it. Limits are wide: nothing is measured here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from panoreel.bench import document
from panoreel.bench.targets import LONG_MEMORY_S, LONG_S, TARGETS

PANOREEL = Path(sys.executable).with_name("panoreel")
TIMEOUT_S = 180


def bench(*arguments: str, timeout_s: int = TIMEOUT_S) -> dict[str, Any]:
    """Run `panoreel bench … --json`."""
    done = subprocess.run(
        [PANOREEL, "bench", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=timeout_s,
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


def test_start() -> None:
    found = bench("start", "--seconds", "2")
    assert found["rounds"] == 1
    for kind in ("warm_ms", "cold_ms"):
        assert 0 < found[kind]["p50"] <= found[kind]["p95"] < 30_000


def test_finish() -> None:
    [row] = bench("finish", "--minutes", "1", "--muxer", "hls", "--rounds", "1")["rows"]
    assert (row["recorded_s"], row["muxer"]) == (60, "hls")
    assert 0 < row["finish_s"] < 60


def test_density() -> None:
    found = bench("density", "--recordings", "2", "--seconds", "4")
    assert found["recordings"] == 2
    assert found["present"] == found["expected"] >= 2
    assert found["worst_present"] == 1
    assert 0.3 < found["worst_fps"] < 31


def test_memory() -> None:
    found = bench("memory", "--page", "slides", "--seconds", "4")
    assert 100 < found["pss_mb"]["mean"] <= found["pss_mb"]["max"] < 3000


def test_sound() -> None:
    assert bench("sound", "--seconds", "4")["crosstalk"] < 0.1


def test_picture() -> None:
    found = bench("picture", "--seconds", "2")
    assert found["ssim"] > 0.9
    assert found["colour_error"] < 8
    assert found["tagged_bt709"]


def test_bytes() -> None:
    assert 0.3 < bench("bytes", "--page", "slides", "--seconds", "2")["bytes_ratio"] < 5


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sync.sync", ("sync", "--seconds", f"{LONG_S}")),
        ("sync.sync-script", ("sync", "--page", "sync-script", "--seconds", f"{LONG_S}")),
        ("sound", ("sound", "--seconds", f"{LONG_S}")),
        ("memory", ("memory", "--seconds", f"{LONG_MEMORY_S}")),
    ],
)
def test_targets_of_long_runs(name: str, arguments: tuple[str, ...]) -> None:
    results = document.merge({}, name, bench(*arguments, timeout_s=2 * LONG_MEMORY_S))
    values = {target: target.value(results) for target in TARGETS if target.figure.startswith(f"{name}.")}
    missed = {
        target.what: value for target, value in values.items() if value is None or not target.is_met(value)
    }
    assert values
    assert not missed


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
    assert "gstreamer needs gst-launch-1.0" in done.stderr
    assert "apt-get install --no-install-recommends gstreamer1.0-tools" in done.stderr
