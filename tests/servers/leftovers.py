"""What programs that are gone have left behind, whatever else runs on this machine."""

import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

NAMES = ("panoreel", "playwright", "chrom", "pulse")
STAY_S = 60.0
"""What other tests have at the same time is gone by then."""


@contextmanager
def nothing_left() -> Iterator[None]:
    """What is done within leaves no file in a shared directory, dead socket or shared memory behind."""
    before = _leftovers()
    yield
    deadline = time.monotonic() + STAY_S
    left = _leftovers() - before
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left &= _leftovers()
    assert not left, left


def _leftovers() -> set[str]:
    # Another stack runs, as long as there is a program that was told of its directory.
    told = "\n".join(
        word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or ()
    )
    files = {
        str(path)
        for directory in ("/tmp", "/dev/shm", "/run")
        for path in Path(directory).iterdir()
        if any(name in path.name.lower() for name in NAMES) and str(path) not in told
    }
    return files | _dead_sockets() | _orphaned_memory()


def _dead_sockets() -> set[str]:
    """Socket files on which nobody listens any more."""
    found = [*Path("/tmp").glob("*"), *Path("/tmp/.X11-unix").glob("*")]
    return {str(path) for path in found if _is_dead_socket(path)}


def _orphaned_memory() -> set[str]:
    """System V shared memory that no process has attached (the seventh column, see proc_sysvipc_shm(5))."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {f"shared memory {row[1]}" for row in rows if row[6] == "0"}


def still_alive(processes: list[psutil.Process], timeout_s: float = 5.0) -> list[psutil.Process]:
    """Those that have not ended in time; zombies have ended."""
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return [process for process in alive if _runs(process)]


def _is_dead_socket(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except ConnectionRefusedError:
        return True
    except OSError:  # it has just gone, or belongs to somebody else
        return False
    return False


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
