"""The tables that the `panoreel` command prints."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.table import Column, Table

from .datadir import Endpoints


def endpoints_table(endpoints: Endpoints) -> Table:
    """Where everything is, credentials included."""
    table = Table("", Column("endpoint", overflow="fold"), title="Panoreel is ready", title_justify="left")
    for name, value in asdict(endpoints).items():
        table.add_row(name.replace("_", " "), str(value))
    return table


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
