"""The commands that control a recording of a running stack, and those that only look."""

import json as json_format
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .connection import AsJson

if TYPE_CHECKING:
    from panoreel.client import Panoreel, Recording

TaskId = Annotated[str, typer.Argument(help="What `start` has printed.")]
ListStatus = Literal["all", "running", "finished"]
When = Annotated[datetime | None, typer.Option(help="Local time.")]


def pause(client: "Panoreel", task_id: TaskId, json: AsJson = False) -> None:
    """Leave out what the page shows from here on."""
    client.pause(task_id)
    _show(client.describe(task_id), as_json=json)


def resume(client: "Panoreel", task_id: TaskId, json: AsJson = False) -> None:
    """Go on recording after a pause."""
    client.resume(task_id)
    _show(client.describe(task_id), as_json=json)


def refresh(
    client: "Panoreel",
    task_id: TaskId,
    url: Annotated[str | None, typer.Argument(help="Another page, to be shown instead.")] = None,
    json: AsJson = False,
) -> None:
    """Load the page anew, or another page in its place, within the same recording."""
    client.refresh(task_id, url)
    _show(client.describe(task_id), as_json=json)


def stop(
    client: "Panoreel",
    task_id: TaskId,
    force: Annotated[bool, typer.Option("--force", help="For a page or a recorder that hangs.")] = False,
    json: AsJson = False,
) -> None:
    """End a recording; its file is finished all the same."""
    if force:
        client.force_stop(task_id)
    else:
        client.stop(task_id)
    recording = client.describe(task_id)
    if json:
        _print_json(recording.as_json())
    elif recording.status == "finished":
        typer.echo("it has ended already; `panoreel describe` shows its files")
    else:
        typer.echo(f"it ends, and its file is finished; `panoreel watch {task_id}` tells when it is there")


def describe(
    client: "Panoreel",
    task_id: TaskId,
    detail: Annotated[bool, typer.Option("--detail", help="All that may be shown.")] = False,
    json: AsJson = False,
) -> None:
    """Show a recording's state and, when it is finished, its files."""
    from .tables import field_lines

    recording = client.describe_detail(task_id) if detail else client.describe(task_id)
    if json:
        _print_json(recording.as_json())
    else:
        typer.echo(field_lines(recording))


def list_(
    client: "Panoreel",
    status: Annotated[ListStatus, typer.Option(help="running is everything not yet finished.")] = "all",
    since: When = None,
    until: When = None,
    offset: Annotated[int, typer.Option(min=0, help="How many of the newest to leave out.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many to show.")] = 100,
    json: AsJson = False,
) -> None:
    """List recordings, newest first."""
    from .tables import recording_line

    start_time, end_time = (time and time.astimezone() for time in (since, until))
    page = client.list(status, start_time=start_time, end_time=end_time, offset=offset, limit=limit)
    if json:
        _print_json(page.as_json())
        return
    for recording in page.tasks:
        typer.echo(recording_line(recording))
    if page.total > len(page.tasks):
        typer.echo(f"{len(page.tasks)} of {page.total}; see --offset and --limit", err=True)


def events(client: "Panoreel", task_id: TaskId, json: AsJson = False) -> None:
    """Show what happened to a recording, when, and who caused it."""
    from rich.console import Console

    from .tables import events_table

    history = [event.as_json() for event in client.events(task_id)]
    if json:
        _print_json(history)
    else:
        Console().print(events_table(history))


def watch(client: "Panoreel", task_id: TaskId, json: AsJson = False) -> None:
    """Follow a recording until it is finished: one line for each change, and one for each file."""
    for recording in client.watch(task_id):
        if json:
            _print_json(recording.as_json())
        else:
            typer.echo(f"{datetime.now():%H:%M:%S}  {recording.status}")
    for video in recording.videos if not json else ():
        # The address by itself: terminals copy along what adheres to it.
        typer.echo(f"{video.file_url}  {video.file_bytes} bytes, {video.file_duration_s:g} s")
    if recording.result.error_code or not recording.videos:
        typer.echo(recording.result.error_message or "the task ended without a recording", err=True)
        raise typer.Exit(1)


def _show(recording: "Recording", *, as_json: bool) -> None:
    if as_json:
        _print_json(recording.as_json())
    else:
        typer.echo(recording.status)


def _print_json(value: object) -> None:
    typer.echo(json_format.dumps(value, ensure_ascii=False))
