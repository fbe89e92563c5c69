"""The tables that the `panoreel` command prints."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from .datadir import Endpoints

if TYPE_CHECKING:
    from panoreel.client import Recording


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


def recording_line(recording: "Recording") -> str:
    """A recording in a list: what it is called, how far it is, since when, and where its file is."""
    created = "" if recording.create_time is None else _local(recording.create_time)
    files = "  ".join(video.file_url for video in recording.videos)
    return f"{recording.task_id:<36}  {recording.status:<9}  {created}  {files}".rstrip()


def field_lines(recording: "Recording") -> str:
    """All that is known of a recording: a line for each field, under the API's names, in local time."""
    fields = dict(_flat(recording.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)))
    width = max(map(len, fields))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in fields.items())


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{index}]")
    else:
        yield name, _local(value) if isinstance(value, datetime) else value


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def _time(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["Time"])
