"""One supervised program, and what it leaves behind."""

import asyncio
import ctypes
import sys
from pathlib import Path

import psutil
import pytest

from panoreel.local import process as local_process
from panoreel.local.errors import StartFailed
from panoreel.local.process import (
    FIRST_PAUSE_S,
    KEPT_LOG_BYTES,
    PR_SET_CHILD_SUBREAPER,
    Program,
    SupervisedProcess,
    adopt_orphans,
    reap_orphans,
)

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "60"])
print("up", flush=True)
time.sleep(60)
"""


def supervised(tmp_path: Path, source: str, **options: float) -> SupervisedProcess:
    log = tmp_path / "program.log"

    async def is_ready() -> bool:
        return log.exists() and "up" in log.read_text()

    program = Program("program", [sys.executable, "-c", source], {}, tmp_path, is_ready, **options)
    return SupervisedProcess(program, log, lambda text: None)


async def test_a_program_that_ends_while_starting_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    process = supervised(tmp_path, "import sys; sys.exit('no such database')")
    with pytest.raises(
        StartFailed, match=r"program ended with exit code 1 while starting\n(.|\n)*no such database"
    ):
        await process.start()


async def test_a_program_that_does_not_obey_is_killed_with_its_children(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    process = supervised(tmp_path, STUBBORN, stop_timeout_s=0.2)
    await process.start()
    family = set(psutil.Process().children(recursive=True)) - before
    assert {member.name() for member in family} >= {"python", "sleep"}
    await process.stop()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
    assert alive == []


async def test_a_stopped_program_is_not_started_again(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    process = supervised(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    await process.start()
    await process.stop()
    await asyncio.sleep(FIRST_PAUSE_S + 0.2)
    assert set(psutil.Process().children()) <= before


async def test_a_grown_log_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "program.log"
    log.write_bytes(b"x" * (KEPT_LOG_BYTES + 1))
    process = supervised(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    await process.start()
    await process.stop()
    assert log.read_text() == "up\n"
    assert log.with_suffix(".log.1").stat().st_size == KEPT_LOG_BYTES + 1


async def test_orphans_are_reaped_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_process, "REAP_S", 0.2)
    adopt_orphans()
    reaping = asyncio.create_task(reap_orphans())
    try:
        parent = await asyncio.create_subprocess_exec(
            "sh", "-c", "sleep 0.1 & echo $!; exit 3", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await parent.communicate()
        orphan = psutil.Process(int(output))
        assert orphan.ppid() == psutil.Process().pid
        async with asyncio.timeout(30):
            while orphan.is_running():
                await asyncio.sleep(0.05)
        assert parent.returncode == 3
    finally:
        reaping.cancel()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
