"""`Describe` beside a bare SELECT: python -m tests.bench.bench_describe

Eight clients ask for tasks at random of 100,000, of dispatch and of `bare` in turn. Each is one process; its
CPU time a request is told too: it says more than throughput does on a machine that others use.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import asyncpg
import httpx
import psutil

from tests.bench.load import Figures, action, alternating, load
from tests.bench.stack import report, running_dispatch
from tests.servers.nats import accepts_connections, free_ports

TASKS = 100_000
CLIENTS = 8
ROUNDS = 15
ROUND_S = 2.0
WARM_UP_S = 2.0
START_TIMEOUT_S = 10.0

FILL = """
    INSERT INTO tasks
    SELECT (jsonb_populate_record(t, jsonb_build_object(
        'task_id', 'task-' || n,
        'public_id', 'task-' || n,
        'state', t.state || jsonb_build_object('task_id', 'task-' || n)
    ))).*
    FROM tasks t, generate_series(1, $1::int) n
    WHERE t.task_id = $2
"""


async def fill(dsn: str, task_id: str) -> None:
    """Put copies of one task into the read model."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL, TASKS, task_id)
    await connection.execute("VACUUM ANALYZE tasks")
    await connection.close()


@dataclass(frozen=True)
class Served:
    """A server that is measured."""

    port: int
    process: psutil.Process

    async def round(self, duration_s: float) -> tuple[Figures, float]:
        """Its figures under load, and its CPU time a request in milliseconds."""
        before = self._cpu_s()
        figures = await load(self.port, CLIENTS, duration_s, random_task, is_described)
        return figures, (self._cpu_s() - before) * 1000 / figures.requests

    def _cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


def random_task() -> bytes:
    """Ask for one of them."""
    return action("Describe", TaskID=f"task-{random.randint(1, TASKS)}")


def is_described(answer: bytes) -> bool:
    """Whether it is what was asked for, and no error."""
    return b'"Status":"normal"' in answer


@contextmanager
def running_bare(dsn: str) -> Iterator[Served]:
    """The bare application, for as long as the context lasts."""
    port = free_ports(1)[0]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.bench.bare", dsn, str(port)]
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not accepts_connections(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Served(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


async def measure(servers: dict[str, Served]) -> dict[str, list[tuple[Figures, float]]]:
    """What each server's rounds came to."""
    for server in servers.values():
        await server.round(WARM_UP_S)
    rounds: dict[str, list[tuple[Figures, float]]] = {name: [] for name in servers}
    for name in alternating(ROUNDS, *servers):
        rounds[name].append(await servers[name].round(ROUND_S))
    return rounds


def main() -> None:
    """Measure, and print the figures."""
    with running_dispatch() as dispatch:
        asyncio.run(fill(dispatch.dsn, dispatch.start()))
        ours = Served(httpx.URL(dispatch.url).port or 0, psutil.Process(dispatch.process.pid))
        with running_bare(dispatch.dsn) as bare:
            rounds = asyncio.run(measure({"describe": ours, "bare": bare}))
    pairs = zip(rounds["describe"], rounds["bare"], strict=True)
    ratio = median(found.requests_per_s / beside.requests_per_s for (found, _), (beside, _) in pairs)
    report(
        {"tasks": TASKS, "clients": CLIENTS, "rounds": ROUNDS, "round_s": ROUND_S}
        | {
            name: asdict(Figures.median([figures for figures, _ in found]))
            | {"cpu_ms_per_request": round(median(cpu_ms for _, cpu_ms in found), 3)}
            for name, found in rounds.items()
        }
        | {"throughput_ratio": round(ratio, 3)}
    )


if __name__ == "__main__":
    main()
