"""One supervised program, and what it leaves behind."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from panoreel.local.errors import StartFailed
from panoreel.local.process import Program, SupervisedProcess

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
    return SupervisedProcess(program, lambda name: log, lambda text: None)


async def test_a_program_that_ends_while_starting_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    process = supervised(tmp_path, "import sys; sys.exit('no such database')")
    with pytest.raises(
        StartFailed, match=r"program ended with exit code 1 while starting\n(.|\n)*no such database"
    ):
        await process.start()


async def test_a_program_that_does_not_obey_is_killed_with_its_children(tmp_path: Path) -> None:
    process = supervised(tmp_path, STUBBORN, stop_timeout_s=0.2)
    await process.start()
    assert process.pid is not None
    leader = psutil.Process(process.pid)
    family = [leader, *leader.children()]
    assert len(family) == 2
    await process.stop()
    assert process.pid is None
    await asyncio.to_thread(psutil.wait_procs, family, timeout=5)
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family)


async def test_a_stopped_program_is_not_started_again(tmp_path: Path) -> None:
    process = supervised(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    await process.start()
    await process.stop()
    await asyncio.sleep(0.7)
    assert process.pid is None
