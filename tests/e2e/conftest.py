"""One stack for all end-to-end tests, and a site to record. A failing test keeps its logs and its video."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.panoreel import PANOREEL, Panoreel
from tests.e2e.site import make_flashing_video, make_moving_video, serve_site
from tests.servers.leftovers import nothing_left, still_alive

ARTIFACTS = Path(__file__).parents[2] / ".artifacts"
START_TIMEOUT_S = 60.0


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the test site."""
    media = tmp_path_factory.mktemp("media")
    make_moving_video(media / "moving.mp4", seconds=12)
    make_flashing_video(media / "flashing.mp4", seconds=12)
    with serve_site(media) as address:
        yield address


@pytest.fixture(scope="session")
def panoreel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panoreel]:
    """The stack that most tests share."""
    with running_stack(tmp_path_factory.mktemp("stack") / "data") as panoreel:
        yield panoreel


@contextmanager
def running_stack(data: Path, **settings: str) -> Iterator[Panoreel]:
    """A stack that runs for as long as the context lasts. When it stops, nothing of it may be left.

    Its recorder takes a task however loaded the machine is: who runs tests is not to wait for others.
    """
    env = os.environ | {"PANOREEL_MAX_LOAD": "100"} | settings
    command = [str(PANOREEL), "up", "--data-dir", str(data), "--port", "0"]
    endpoints = data / "endpoints.json"
    with nothing_left():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not endpoints.exists():
            assert process.poll() is None, "the stack did not start"
            assert time.monotonic() < deadline, "the stack did not get ready"
            time.sleep(0.05)
        try:
            yield Panoreel(data, json.loads(endpoints.read_text()))
        finally:
            processes = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert still_alive(processes) == []
    assert not endpoints.exists()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Copy what a failing test has recorded, and the stack's logs, to `.artifacts/<test>`."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        kept = ARTIFACTS / item.name.replace("/", "_")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        directory, stack = item.funcargs.get("tmp_path"), item.funcargs.get("panoreel")
        if isinstance(directory, Path):
            shutil.copytree(directory, kept / "files")
        if isinstance(stack, Panoreel):
            shutil.copytree(stack.data / "logs", kept / "logs")
        sys.stderr.write(f"\nkept: {kept}\n")
    return report
