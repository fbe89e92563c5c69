"""One recording through the HTTP API: start, follow, fetch the file."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from panoreel.client import Event, Output, Panoreel, PanoreelError, StartRequest, Video, VideoOutput
from panoreel.client import Recording as Task
from panoreel.client.waiting import Patience

from .encoding import EXTENSIONS
from .progress import Progress

POLL_S = 0.2


@dataclass(frozen=True)
class Recording:
    """What is asked for: `seconds` from the first frame, sizes in pixels; no `url` means the demo page.

    `outs` are where the files go, one for each of the formats that `video` asks for.
    """

    url: str
    seconds: int
    width: int
    height: int
    outs: tuple[Path, ...]
    video: VideoOutput


@dataclass(frozen=True)
class Fetched:
    """A result that was downloaded; of HLS the playlist, and the bytes of its segments too."""

    file: str
    bytes: int


@dataclass(frozen=True)
class Outcome:
    """What came of it. `error` has `code` and `message` when there is no recording.

    `file` and `bytes` are those of the first of `files`, None without any; `duration_s` and `frames` are None
    when the task's events do not tell.
    """

    task_id: str | None = None
    file: str | None = None
    duration_s: float | None = None
    frames: int | None = None
    bytes: int | None = None
    files: tuple[Fetched, ...] = ()
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


def record(client: Panoreel, recording: Recording, progress: Progress) -> Outcome:
    """Record, wait for the file and fetch it. The first Ctrl-C ends the recording but keeps it.

    Raises a `PanoreelError` when the server refuses, cannot be reached, or the file cannot be fetched, and
    `KeyboardInterrupt` at the second Ctrl-C.
    """
    with _counted_interrupts() as interrupts:
        request = StartRequest(
            record_url=recording.url,
            width=recording.width,
            height=recording.height,
            max_duration_s=recording.seconds,
            output=Output(video=recording.video),
        )
        task_id = client.start(request)
        task = _follow(client, task_id, interrupts, progress)
        files = tuple(
            _fetch(client, video, out, progress)
            for video, out in zip(task.videos, recording.outs, strict=False)
        )
        return _outcome(task, client.events(task_id), files)


def _fetch(client: Panoreel, video: Video, out: Path, progress: Progress) -> Fetched:
    got_bytes = 0

    def note(so_far: int) -> None:
        nonlocal got_bytes
        got_bytes = so_far
        progress.downloading(so_far, video.file_bytes)

    client.download(video, out, note)
    return Fetched(str(out.absolute()), got_bytes)


def _follow(client: Panoreel, task_id: str, interrupts: Interrupts, progress: Progress) -> Task:
    """Poll the task until it is finished."""
    stop_sent = False
    patience = Patience()
    while True:
        time.sleep(POLL_S)
        try:
            if interrupts.stop_asked and not stop_sent:
                client.stop(task_id)
                stop_sent = True
                progress.note("stopping; the recording is kept (Ctrl-C again gives it up)")
            task = client.describe(task_id)
        except PanoreelError as error:
            patience.bear(error)
            continue
        patience.answered()
        ended = task.stop_time or datetime.now(UTC)
        elapsed_s = (ended - task.start_time).total_seconds() if task.start_time else 0.0
        progress.state(task.status, elapsed_s)
        if task.status == "finished":
            return task


def _outcome(task: Task, events: tuple[Event, ...], files: tuple[Fetched, ...]) -> Outcome:
    error = None
    if task.result.error_code or not files:
        code = task.result.error_code or "NoRecording"
        message = task.result.error_message or "the task ended without a recording"
        error = {"code": code, "message": message}
    return Outcome(
        task_id=task.task_id,
        file=files[0].file if files else None,
        duration_s=_from_outputs(events, "duration_s"),
        frames=_from_outputs(events, "frames"),
        bytes=files[0].bytes if files else None,
        files=files,
        status=task.status,
        events=[event.as_json() for event in events],
        error=error,
    )


def _from_outputs(events: tuple[Event, ...], name: str) -> Any:
    """What the packaging stage says of the video."""
    for event in events:
        for output in event.data.get("outputs", []):
            if output.get("kind") in EXTENSIONS:
                return output.get(name)
    return None
