"""What trees of processes use of processor and memory."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from panoreel.bench.errors import BenchError


def tree(roots: Iterable[int]) -> Iterator[psutil.Process]:
    """The processes `roots` and all that descend from them, as far as they live."""
    for pid in roots:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield root
            yield from root.children(recursive=True)


def cpu_s(roots: Iterable[int]) -> float:
    """Processor seconds of whole trees, those of ended children included, which their parents inherit."""
    total = 0.0
    for process in tree(roots):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def pss_bytes(roots: Iterable[int]) -> int:
    """Memory of whole trees, shared pages divided among those that share them (proc_pid_smaps(5)).

    Raises `BenchError` when a process may not be looked into.
    """
    total = 0
    for process in tree(roots):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            total += _pss_bytes(process.pid)
    return total


def _pss_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError:
        raise BenchError(f"the memory of process {pid} may not be read: run this as root") from None
    [line] = [line for line in rollup.splitlines() if line.startswith("Pss:")]
    return int(line.split()[1]) * 1024
