"""The stack that a recording uses: the one that runs already, or one of its own for as long as it takes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .datadir import DataDirectory, Endpoints
from .errors import LocalError

POLL_S = 0.05
STOP_TIMEOUT_S = 60.0


@contextmanager
def running_stack(directory: DataDirectory) -> Iterator[Endpoints]:
    """The endpoints of the stack on `directory`. If none runs, one is started and stopped again at the end.

    Raises `LocalError` when it cannot be started; `panoreel up` has then told why on standard error.
    """
    if directory.is_locked():
        yield _await_other(directory)
        return
    argv = [sys.executable, "-m", "panoreel.local", "up", "--data-dir", str(directory.path), "--port", "0"]
    # It stops in good order when we die, and a Ctrl-C in the terminal is for us alone.
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig=TERM", "--", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _await_own(directory, child)
    finally:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_TIMEOUT_S)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _await_own(directory: DataDirectory, child: subprocess.Popen[bytes]) -> Endpoints:
    while child.poll() is None:
        if endpoints := directory.endpoints():
            return endpoints
        time.sleep(POLL_S)
    raise LocalError("the embedded stack did not start")


def _await_other(directory: DataDirectory) -> Endpoints:
    while directory.is_locked():
        if endpoints := directory.endpoints():
            return endpoints
        time.sleep(POLL_S)
    raise LocalError(f"the stack on {directory.path} has stopped; try again")
