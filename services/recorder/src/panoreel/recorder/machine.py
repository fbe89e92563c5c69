"""What the machine, and the control groups that we are in, have left: proc(5), cgroups(7), cgroup-v2.rst."""

import os
import time
from collections import deque
from pathlib import Path
from typing import Final, NamedTuple

from panoreel.recorder.admission import Machine, Processors

WINDOW_S: Final = 5.0
"""Over how long the load is averaged."""

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
BUSY_FIELDS: Final = (0, 1, 2, 5, 6, 7)
"""Those of /proc/stat but for idle, iowait, and guests, who are users, too."""

CGROUPS: Final = Path("/sys/fs/cgroup")
MIB: Final = 1024 * 1024


class Busy(NamedTuple):
    """How long cores had been at work, in all, at a monotonic time."""

    at: float
    core_s: float


class Meter:
    """Measures each time that it is asked; the load is the mean since about `WINDOW_S` ago.

    `proc` and `cgroups` are where the kernel shows what it counts. Control groups of version 1 are not seen.
    """

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = CGROUPS) -> None:
        self._proc = proc
        self._groups = _own_groups(proc, cgroups)
        self._seen: dict[Path, deque[Busy]] = {}
        self.began = time.monotonic()
        self.measure(self.began)

    def measure(self, now: float) -> Machine:
        """What is at work and what is free at the monotonic time `now`; takes less than a millisecond."""
        stat = self._proc / "stat"
        ours = os.sched_getaffinity(0)
        processors = [Processors(len(ours), self._used(stat, Busy(now, _busy_s(stat, ours))))]
        free_mib = [_available_mib(self._proc / "meminfo")]
        for group in self._groups:
            if (cores := _quota(group)) is not None:
                used = self._used(group, Busy(now, _group_busy_s(group)))
                processors.append(Processors(cores, used))
            if (free := _group_free_mib(group)) is not None:
                free_mib.append(free)
        return Machine(tuple(processors), min(free_mib))

    def _used(self, source: Path, latest: Busy) -> float:
        """Cores at work, in the mean."""
        seen = self._seen.setdefault(source, deque())
        seen.append(latest)
        while len(seen) > 2 and seen[1].at <= latest.at - WINDOW_S:
            seen.popleft()
        elapsed_s = latest.at - seen[0].at
        return (latest.core_s - seen[0].core_s) / elapsed_s if elapsed_s > 0 else 0.0


def _busy_s(stat: Path, cores: set[int]) -> float:
    rows = {row[0]: row[1:] for row in map(str.split, _read(stat).splitlines())}
    return sum(int(rows[f"cpu{core}"][field]) for core in cores for field in BUSY_FIELDS) / TICKS_PER_S


def _available_mib(meminfo: Path) -> float:
    return _values(meminfo)["MemAvailable:"] / 1024


def _own_groups(proc: Path, cgroups: Path) -> list[Path]:
    """The directories of our control group and of those that it is in, where they are of version 2."""
    own = next(
        (line[3:] for line in (proc / "self/cgroup").read_text().splitlines() if line.startswith("0::")), "/"
    )
    group = cgroups / own.lstrip("/")
    return [path for path in (group, *group.parents) if path.is_relative_to(cgroups)]


def _quota(group: Path) -> float | None:
    """How many cores the group may use; None: as many as there are."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    return None if quota in ("", "max") else int(quota) / int(period)


def _group_busy_s(group: Path) -> float:
    return _values(group / "cpu.stat").get("usage_usec", 0) / 1e6


def _group_free_mib(group: Path) -> float | None:
    limit = _read(group / "memory.max")
    if limit in ("", "max"):
        return None
    # The page cache counts as used, but what of it is inactive is given up first.
    cached = _values(group / "memory.stat").get("inactive_file", 0)
    return (int(limit) - int(_read(group / "memory.current")) + cached) / MIB


def _read(file: Path) -> str:
    """The file's only line; empty where the kernel has no such file."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _values(file: Path) -> dict[str, int]:
    """A table of names and numbers."""
    rows = (line.split() for line in _read(file).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2}
