"""How long `Start` takes once all is warm: python -m tests.bench.bench_start

It answers when the task is in the log, on disk, and can be read. With one client, half of all answers must
come within `TARGET_MS`; otherwise the exit code is 1.
"""

import asyncio
from dataclasses import asdict

import httpx

from panoreel.signing.client import Credentials
from tests.bench.load import Figures, action, load
from tests.bench.stack import CALLERS, report, running_dispatch

TARGET_MS = 30
WARM_UP_S = 3.0
DURATION_S = 10.0
DATA = {"RecordURL": "http://127.0.0.1:1/class?token=x", "CallbackURL": "http://127.0.0.1:1/done"}


async def measure(port: int, clients: int, credentials: Credentials | None) -> Figures:
    """The figures of so many clients."""

    def request() -> bytes:
        return action("Start", credentials, **DATA)

    def valid(answer: bytes) -> bool:
        return b'"TaskID"' in answer and b'"ErrorCode"' not in answer

    await load(port, clients, WARM_UP_S, request, valid)
    return await load(port, clients, DURATION_S, request, valid)


def main() -> None:
    """Measure, and print the figures."""
    figures: dict[str, object] = {"duration_s": DURATION_S, "target_ms": TARGET_MS}
    missed = []
    for name, credentials in CALLERS.items():
        with running_dispatch(credentials) as dispatch:
            port = httpx.URL(dispatch.url).port or 0
            alone, together = (asyncio.run(measure(port, clients, credentials)) for clients in (1, 8))
        figures[name] = {"clients_1": asdict(alone), "clients_8": asdict(together)}
        if alone.p50_ms > TARGET_MS:
            missed.append(f"{name}, half of all answers took longer than {TARGET_MS} ms")
    report(figures, missed)


if __name__ == "__main__":
    main()
