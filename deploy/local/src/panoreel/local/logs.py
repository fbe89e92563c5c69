"""The services' logs, watched for what the user should see."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLL_S = 0.5
SHOWN_LEVELS = frozenset({"warning", "error", "critical"})
UNSHOWN_FIELDS = frozenset({"event", "level", "timestamp"})


async def show_warnings(logs: Path, report: Callable[[str], None]) -> None:
    """Report each warning and error that a service logs from now on. The logs hold one JSON object a line."""
    ends = _sizes(logs)
    while True:
        await asyncio.sleep(POLL_S)
        for log in ends:
            for line in _lines_since(log, ends):
                if text := _warning(line):
                    report(f"{log.stem}: {text}")


def _sizes(logs: Path) -> dict[Path, int]:
    return {log: log.stat().st_size for log in logs.glob("*.log")}


def _lines_since(log: Path, ends: dict[Path, int]) -> list[str]:
    """The complete lines beyond `ends[log]`, which is moved on; a log that shrank was started anew."""
    size = log.stat().st_size if log.exists() else 0
    start = ends[log] if ends[log] <= size else 0
    if start == size:
        return []
    with log.open("rb") as source:
        source.seek(start)
        complete, _, _ = source.read().rpartition(b"\n")
    ends[log] = start + len(complete) + 1 if complete else start
    return complete.decode(errors="replace").splitlines()


def _warning(line: str) -> str | None:
    try:
        record: dict[str, Any] = json.loads(line)
        if str(record["level"]).lower() not in SHOWN_LEVELS:
            return None
    except (ValueError, TypeError, KeyError):
        return None
    details = " ".join(f"{name}={value}" for name, value in record.items() if name not in UNSHOWN_FIELDS)
    return f"{record.get('event', '')} {details}".strip()
