"""How long `Start` takes once all is warm: python -m tests.bench.bench_start

It answers when the task is in the log, on disk, and can be read.
"""

import asyncio
from dataclasses import asdict

import httpx

from tests.bench.load import Figures, action, load
from tests.bench.stack import report, running_dispatch

WARM_UP_S = 3.0
DURATION_S = 10.0


async def measure(port: int, clients: int) -> Figures:
    """The figures of so many clients."""
    body = action(
        "Start", RecordURL="http://127.0.0.1:1/class?token=x", CallbackURL="http://127.0.0.1:1/done"
    )

    def valid(answer: bytes) -> bool:
        return b'"TaskID"' in answer and b'"ErrorCode"' not in answer

    await load(port, clients, WARM_UP_S, lambda: body, valid)
    return await load(port, clients, DURATION_S, lambda: body, valid)


def main() -> None:
    """Measure, and print the figures."""
    figures: dict[str, object] = {"duration_s": DURATION_S}
    with running_dispatch() as dispatch:
        port = httpx.URL(dispatch.url).port or 0
        for clients in (1, 8):
            figures[f"clients_{clients}"] = asdict(asyncio.run(measure(port, clients)))
    report(figures)


if __name__ == "__main__":
    main()
