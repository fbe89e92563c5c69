"""One recording through the HTTP API: start, follow, fetch the file."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from .client import Client
from .errors import RequestRefused, ServerUnreachable
from .progress import Progress

POLL_S = 0.2
UNREACHABLE_S = 30.0
"""A recording goes on without its API, so we wait this long for the API to come back."""


@dataclass(frozen=True)
class Recording:
    """What is asked for: `seconds` from the first frame, sizes in pixels; no `url` means the demo page."""

    url: str
    seconds: int
    width: int
    height: int
    out: Path


@dataclass(frozen=True)
class Outcome:
    """What came of it. `file` is None and `error` has `code` and `message` when there is no recording.

    `duration_s` and `frames` are None when the task's events do not tell.
    """

    task_id: str | None = None
    file: str | None = None
    duration_s: float | None = None
    frames: int | None = None
    bytes: int | None = None
    status: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints: `error` is there only if there is one."""
        fields = asdict(self)
        if self.error is None:
            del fields["error"]
        return fields


class Interrupts:
    """Counts Ctrl-C: the first one is a wish to stop recording, the next one raises `KeyboardInterrupt`."""

    def __init__(self) -> None:
        self.stop_asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.stop_asked:
            raise KeyboardInterrupt
        self.stop_asked = True


@contextmanager
def _counted_interrupts() -> Iterator[Interrupts]:
    interrupts = Interrupts()
    previous = signal.signal(signal.SIGINT, interrupts)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)


def record(client: Client, recording: Recording, progress: Progress) -> Outcome:
    """Record, wait for the file and fetch it. The first Ctrl-C ends the recording but keeps it.

    Raises a `LocalError` when the server refuses, cannot be reached, or the file cannot be fetched, and
    `KeyboardInterrupt` at the second Ctrl-C.
    """
    with _counted_interrupts() as interrupts:
        task_id = client.start(
            recording.url, seconds=recording.seconds, width=recording.width, height=recording.height
        )
        task = _follow(client, task_id, interrupts, progress)
        result = task.get("Result", {})
        videos = result.get("Videos", [])
        if videos:
            total = int(videos[0].get("FileSize", 0))
            for so_far in client.download(videos[0]["FileURL"], recording.out):
                progress.downloading(so_far, total)
        return _outcome(task_id, task, client.events(task_id), recording.out if videos else None)


def _follow(client: Client, task_id: str, interrupts: Interrupts, progress: Progress) -> dict[str, Any]:
    """Poll the task until it is finished; returns it as `Describe` shows it."""
    stop_sent = False
    answered = time.monotonic()
    while True:
        time.sleep(POLL_S)
        try:
            if interrupts.stop_asked and not stop_sent:
                client.stop(task_id)
                stop_sent = True
                progress.note("stopping; the recording is kept (Ctrl-C again gives it up)")
            task = client.describe(task_id)
        except (ServerUnreachable, RequestRefused) as error:
            if isinstance(error, RequestRefused) and error.code != "InternalError":
                raise
            if time.monotonic() - answered > UNREACHABLE_S:
                raise
            continue
        answered = time.monotonic()
        started = task.get("StartTime")
        ended = task.get("StopTime")
        elapsed_s = (ended or time.time()) - started if started else 0.0
        progress.state(task["Status"], elapsed_s)
        if task["Status"] == "finished":
            return task


def _outcome(task_id: str, task: dict[str, Any], events: list[dict[str, Any]], file: Path | None) -> Outcome:
    result = task.get("Result", {})
    error = None
    if "ErrorCode" in result or file is None:
        code = result.get("ErrorCode", "NoRecording")
        error = {"code": code, "message": result.get("ErrorMessage", "the task ended without a recording")}
    return Outcome(
        task_id=task_id,
        file=str(file.absolute()) if file else None,
        duration_s=_from_outputs(events, "duration_s"),
        frames=_from_outputs(events, "frames"),
        bytes=file.stat().st_size if file else None,
        status=task["Status"],
        events=events,
        error=error,
    )


def _from_outputs(events: list[dict[str, Any]], name: str) -> Any:
    """What the packaging stage says of the file."""
    for event in events:
        for output in event.get("Data", {}).get("outputs", []):
            return output.get(name)
    return None
