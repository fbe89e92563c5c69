"""The frame of a service process: settings, readiness, and a graceful end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from panoreel.runtime.service import load_settings
from panoreel.runtime.settings import ServiceSettings

SERVICE = """
import asyncio, sys, structlog
from panoreel.runtime.service import load_settings, run_service
from panoreel.runtime.settings import ServiceSettings

async def work(ready):
    ready()
    structlog.get_logger().info("working", task_id="t")
    try:
        await asyncio.sleep(float(sys.argv[1]))
    finally:
        await asyncio.sleep(0.1)
        structlog.get_logger().info("tidied up")
    raise RuntimeError("the work is bad")

run_service(load_settings(ServiceSettings), work)
"""

INTERRUPTED = """
import asyncio
from panoreel.runtime.service import load_settings, run_service
from panoreel.runtime.settings import ServiceSettings

async def work(ready):
    task, answer = asyncio.current_task(), asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: (answer.set_result("an answer"), task.cancel()))
    print("goes on with", await asyncio.wait_for(answer, 60))

run_service(load_settings(ServiceSettings), work)
"""
WAIT_S = 30.0


@contextmanager
def service(environment: dict[str, str], seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    """A service process that works for so many seconds."""
    command = [sys.executable, "-c", SERVICE, str(seconds)]
    others = {name: value for name, value in os.environ.items() if not name.startswith("PANOREEL_")}
    with subprocess.Popen(
        command, env=others | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_service_gracefully(tmp_path: Path, number: signal.Signals) -> None:
    ready_file = tmp_path / "ready"
    environment = {"PANOREEL_NATS_URL": "nats://127.0.0.1:1", "PANOREEL_READY_FILE": str(ready_file)}
    with service(environment) as process:
        deadline = time.monotonic() + WAIT_S
        while not ready_file.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert not ready_file.exists()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines] == ["working", "tidied up"]
    assert lines[0]["task_id"] == "t"


def test_broken_work_ends_the_service_with_an_error(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready"
    environment = {"PANOREEL_NATS_URL": "nats://127.0.0.1:1", "PANOREEL_READY_FILE": str(ready_file)}
    with service(environment, seconds=0) as process:
        _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert "the work is bad" in log
    assert not ready_file.exists()


def test_missing_setting_is_named() -> None:
    with service({}) as process:
        _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert log == "PANOREEL_NATS_URL: Field required\n"


@pytest.mark.parametrize("level", ["LOUD", "3"])
def test_wrong_log_level_is_named(level: str) -> None:
    with service({"PANOREEL_NATS_URL": "nats://127.0.0.1:1", "PANOREEL_LOG_LEVEL": level}) as process:
        _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert log.startswith("PANOREEL_LOG_LEVEL: ")


def test_empty_setting_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOREEL_NATS_URL", "nats://user:s3cr3t@127.0.0.1:1")
    monkeypatch.setenv("PANOREEL_READY_FILE", "")
    settings = load_settings(ServiceSettings)
    assert settings.ready_file is None
    assert "s3cr3t" not in repr(settings)


def test_a_service_is_ended_though_an_answer_comes_at_the_same_moment() -> None:
    environment = os.environ | {"PANOREEL_NATS_URL": "nats://127.0.0.1:1"}
    command = [sys.executable, "-c", INTERRUPTED]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert "CancelledError" in ended.stderr
    assert ended.stdout == ""
