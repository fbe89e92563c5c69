"""`Describe` beside a bare SELECT: python -m tests.bench.bench_describe

Eight clients ask for tasks at random of 100,000: dispatch without keys, dispatch with a key file, and `bare`,
in turn. Each is one process; its CPU time a request is told too: it says more than throughput does on a
machine that others use. The exit code is 1 if dispatch without keys answers less than `TARGET` times as often
as `bare`, which checks no signatures either.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import asyncpg
import httpx
import psutil

from panoreel.client import Panoreel
from panoreel.contracts.identifiers import scoped
from panoreel.signing.client import Credentials
from tests.bench.load import Figures, action, alternating, load
from tests.bench.stack import APPLICATION, CALLERS, report, running_dispatch
from tests.servers.dispatch import URL, Dispatch
from tests.servers.nats import accepts_connections
from tests.servers.ports import free_ports

TARGET = 0.8
TASKS = 100_000
CLIENTS = 8
ROUNDS = 15
ROUND_S = 2.0
WARM_UP_S = 2.0
START_TIMEOUT_S = 10.0

FILL = """
    INSERT INTO tasks
    SELECT (jsonb_populate_record(t, jsonb_build_object(
        'task_id', $3::text || 'task-' || n,
        'public_id', 'task-' || n,
        'state', t.state || jsonb_build_object('task_id', $3::text || 'task-' || n)
    ))).*
    FROM tasks t, generate_series(1, $1::int) n
    WHERE t.public_id = $2
"""


async def fill(dsn: str, task_id: str, application: str) -> None:
    """Put copies of one task of the application into the read model."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(FILL, TASKS, task_id, scoped(application, ""))
    await connection.execute("VACUUM ANALYZE tasks")
    await connection.close()


@dataclass(frozen=True)
class Served:
    """A server that is measured."""

    port: int
    process: psutil.Process
    credentials: Credentials | None = None

    async def round(self, duration_s: float) -> tuple[Figures, float]:
        """Its figures under load, and its CPU time a request in milliseconds."""
        before = self._cpu_s()
        figures = await load(self.port, CLIENTS, duration_s, self._random_task, is_described)
        return figures, (self._cpu_s() - before) * 1000 / figures.requests

    def _random_task(self) -> bytes:
        return action("Describe", self.credentials, TaskID=f"task-{random.randint(1, TASKS)}")

    def _cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


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


def filled(dispatch: Dispatch, credentials: Credentials | None) -> Served:
    """The dispatch, once it has all tasks."""
    key, secret = (credentials.id, credentials.secret) if credentials else (None, None)
    with Panoreel(dispatch.url, key, secret) as panoreel:
        task_id = panoreel.start(URL)
    asyncio.run(fill(dispatch.dsn, task_id, APPLICATION if credentials else ""))
    return Served(httpx.URL(dispatch.url).port or 0, psutil.Process(dispatch.process.pid), credentials)


def main() -> None:
    """Measure, and print the figures."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(running_dispatch(caller)) for name, caller in CALLERS.items()}
        servers = {name: filled(dispatch, CALLERS[name]) for name, dispatch in running.items()}
        servers["bare"] = stack.enter_context(running_bare(running["unsigned"].dsn))
        rounds = asyncio.run(measure(servers))
    figures: dict[str, object] = {"tasks": TASKS, "clients": CLIENTS, "rounds": ROUNDS, "round_s": ROUND_S}
    ratios = {}
    for name, found in rounds.items():
        pairs = zip(found, rounds["bare"], strict=True)
        ratios[name] = median(ours.requests_per_s / bare.requests_per_s for (ours, _), (bare, _) in pairs)
        figures[name] = asdict(Figures.median([of_round for of_round, _ in found])) | {
            "cpu_ms_per_request": round(median(cpu_ms for _, cpu_ms in found), 3),
            "throughput_ratio": round(ratios[name], 3),
        }
    reached = ratios["unsigned"] >= TARGET
    report(figures | {"target": TARGET}, [] if reached else [f"Describe is not {TARGET} times a bare SELECT"])


if __name__ == "__main__":
    main()
