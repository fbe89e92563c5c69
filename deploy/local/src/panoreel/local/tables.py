"""The tables that the `panoreel` command prints."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.table import Table

from .datadir import Endpoints


def endpoints_table(endpoints: Endpoints) -> str:
    """Where everything is, credentials included: plain lines, which a narrow terminal does not spoil."""
    rows = asdict(endpoints).items()
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {value}" for name, value in rows)


def events_table(events: list[dict[str, Any]]) -> Table:
    """A task's history: when, how long after the first event, what and by whom."""
    table = Table("time (UTC)", "after", "event", "by", title="Events", title_justify="left")
    first = _time(events[0])
    for event in events:
        time = _time(event)
        after_s = (time - first).total_seconds()
        table.add_row(f"{time:%H:%M:%S.%f}"[:-3], f"{after_s:.2f} s", event["Type"], event["Actor"])
    return table


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["Time"])
