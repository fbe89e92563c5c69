"""What trees of processes use of processor and memory."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil


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
    """Memory of whole trees, shared pages divided among those that share them (proc_pid_smaps(5))."""
    total = 0
    for process in tree(roots):
        with suppress(OSError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            [line] = [line for line in rollup.splitlines() if line.startswith("Pss:")]
            total += int(line.split()[1]) * 1024
    return total
