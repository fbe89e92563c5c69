"""What a recording leaves behind when its process was killed: to be swept up by the service."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from panoreel.recorder.display import remove_socket

OBEY_S: Final = 1.0
"""For so long programs may end by themselves, as SIGTERM bids them: an X server removes its socket then."""

KILL_TIMEOUT_S: Final = 3.0


def sweep(run: Path) -> None:
    """End the programs of the recording whose directory is `run`, and remove it and the X server's socket.

    To be called when the recording's process is dead; blocks for as long as its programs take to die. Needs
    nothing to be there, and does nothing then.
    """
    run = run.resolve()
    begun = time.monotonic()
    while (pids := _programs(run)) and (waited_s := time.monotonic() - begun) < KILL_TIMEOUT_S:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if waited_s < OBEY_S else signal.SIGKILL)
        time.sleep(0.02)
    for home in (run / "home", *run.glob("*/home")):
        remove_socket(home)
    shutil.rmtree(run, ignore_errors=True)


def _programs(run: Path) -> list[int]:
    """The processes that were started with a home below `run`."""
    mark = f"\0HOME={run}/".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended, or is somebody else's
                if mark in b"\0" + (process / "environ").read_bytes():
                    found.append(int(process.name))
    return found
