"""A recorder takes what it has room for: more would harm what it records, less keeps tasks waiting."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from panoreel.recorder.admission import Limits, Machine, Processors, refusal
from panoreel.recorder.machine import WINDOW_S, Meter
from panoreel.recorder.room import Room
from panoreel.recorder.settings import RecorderSettings

AUTOMATIC = Limits(max_recordings=None, max_load=0.8, cores_per_recording=0.5, memory_per_recording_mib=700)
OLD_S = 100.0
PATIENCE_S = 60.0


def machine(used: float, cores: float = 2, free_mib: float = 20_000) -> Machine:
    return Machine((Processors(cores, used),), free_mib)


@pytest.mark.parametrize(
    ("limits", "measured", "ages_s", "why"),
    [
        (AUTOMATIC, machine(0), [], None),
        (AUTOMATIC, machine(2, free_mib=0), [], None),
        (AUTOMATIC, machine(1.0), [OLD_S], None),
        (AUTOMATIC, machine(1.2), [OLD_S, OLD_S], "1.20 of 2 cores"),
        (AUTOMATIC, machine(0.7), [0.0], "1.00 kept free"),
        (AUTOMATIC, machine(0.1, free_mib=600), [OLD_S], "600 MiB"),
        (AUTOMATIC, machine(0.1, free_mib=1300), [0.0], "1400 MiB"),
        (AUTOMATIC, Machine((Processors(64, 1), Processors(1.5, 0.9)), 20_000), [OLD_S], "of 1.5 cores"),
        (Limits(1, 0.8, 0.5, 700), machine(0), [OLD_S], "MAX_RECORDINGS"),
        (Limits(2, 0.8, 0.5, 700), machine(1.2), [OLD_S], "MAX_LOAD"),
        (Limits(2, 1.5, 0.5, 700), machine(1.2), [OLD_S], None),
    ],
)
def test_it_says_why_there_is_no_room(
    limits: Limits, measured: Machine, ages_s: list[float], why: str | None
) -> None:
    answer = refusal(limits, measured, ages_s)
    assert answer is None if why is None else why in str(answer)


@pytest.mark.parametrize(
    ("each", "every_s", "at_least", "at_most"),
    [(0.04, 1, 16, 40), (0.6, 1, 2, 3), (0.6, 20, 2, 2), (0.3, 20, 4, 4)],
)
def test_recordings_are_begun_until_their_measured_load_fills_the_machine(
    each: float, every_s: int, at_least: int, at_most: int
) -> None:
    """Two cores, and a recording of so many cores is asked for every so often; it shows after 5 s."""
    began: list[float] = []
    for now in range(0, 300, every_s):
        used = sum(each for at in began if now - at >= 5)
        if refusal(AUTOMATIC, machine(used), [now - at for at in began]) is None:
            began.append(now)
    assert at_least <= len(began) <= at_most


@settings(deadline=None)  # time limits say nothing on a shared machine
@given(
    used=st.floats(0, 64),
    more=st.floats(0, 8),
    ages_s=st.lists(st.floats(0, 60), min_size=1, max_size=20),
    free_mib=st.floats(0, 64_000),
)
def test_more_load_never_makes_room(used: float, more: float, ages_s: list[float], free_mib: float) -> None:
    before = refusal(AUTOMATIC, machine(used, 8, free_mib), ages_s)
    for worse, ages in (
        (machine(used + more, 8, free_mib), ages_s),
        (machine(used, 8, free_mib / (1 + more)), ages_s),
        (machine(used, 8, free_mib), [*ages_s, OLD_S]),
        (machine(used, 8, free_mib), [age_s / (1 + more) for age_s in ages_s]),
    ):
        assert before is None or refusal(AUTOMATIC, worse, ages) is not None


@pytest.fixture
def kernel(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Writes what a kernel would show: cores that were at work for so many ticks, and limited groups."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroups"
    group = cgroups / "pods" / "recorder"
    for directory in (proc / "self", group):
        directory.mkdir(parents=True)
    (proc / "self/cgroup").write_text("0::/pods/recorder\n")
    (cgroups / "pods/cpu.max").write_text("150000 100000\n")
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text(f"{2 << 30}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {256 << 20}\n")

    def show(ticks: int, usage_usec: int, current_mib: int) -> tuple[Path, Path]:
        rows = "".join(f"cpu{core} {ticks} 0 0 1 1 0 0 0 99 0\n" for core in range(256))
        (proc / "stat").write_text(f"cpu 1 1 1 1 1 1 1 1 1 1\n{rows}intr 1\n")
        (proc / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    4096000 kB\n")
        (cgroups / "pods/cpu.stat").write_text(f"usage_usec {usage_usec}\nuser_usec 1\n")
        (group / "memory.current").write_text(f"{current_mib << 20}\n")
        return proc, cgroups

    return show


def test_control_groups_limit_what_the_machine_has(kernel: Callable[..., tuple[Path, Path]]) -> None:
    meter = Meter(*kernel(ticks=0, usage_usec=0, current_mib=512))
    now = meter.began
    kernel(ticks=50, usage_usec=600_000, current_mib=1024)
    found = meter.measure(now + 1)
    whole, limited = found.processors
    assert whole.used == pytest.approx(whole.cores * 0.5)
    assert limited.cores == 1.5
    assert limited.used == pytest.approx(0.6)
    assert found.free_mib == pytest.approx(2048 - 1024 + 256)
    for second in range(2, 20):
        found = meter.measure(now + second)
    assert [processors.used for processors in found.processors] == [0, 0]


def test_this_machine_can_be_measured() -> None:
    meter = Meter()
    spun = sum(range(3_000_000))
    found = meter.measure(meter.began + 0.1)
    assert spun
    assert found.processors[0].cores >= 1
    assert found.processors[0].used > 0
    assert found.free_mib > 1


async def test_a_busy_machine_keeps_tasks_waiting(tmp_path: Path) -> None:
    """Here and now, as measured."""
    room = Room(
        RecorderSettings(
            nats_url=SecretStr("nats://127.0.0.1"),
            recorder_id="busy",
            secret_keys=(SecretStr("none"),),
            spool_dir=tmp_path,
            run_dir=tmp_path,
            max_load=0.9,
            cores_per_recording=0.05,
            memory_per_recording_mib=0,
        )
    )
    recording = asyncio.create_task(asyncio.sleep(PATIENCE_S))
    room.take(recording)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        await asyncio.sleep(1.5 * WINDOW_S)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(room.available(), 2)
    finally:
        for other in others:
            other.kill()
            other.wait()
    await asyncio.wait_for(room.available(), PATIENCE_S)
    recording.cancel()
