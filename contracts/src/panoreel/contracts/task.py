"""What the events of one task add up to: `evolve` folds them, and no event ever lowers the phase."""

from datetime import datetime
from enum import IntEnum
from typing import Final

from pydantic import Field

from panoreel.contracts import events
from panoreel.contracts.events import (
    ClipSource,
    Event,
    Failure,
    Gap,
    Output,
    OutputRequest,
    PagePolicy,
    StopReason,
    StorageType,
    StoredFile,
    Video,
)
from panoreel.contracts.identifiers import Priority, TaskId, public
from panoreel.contracts.media import EncoderParameters, Frozen
from panoreel.contracts.quality import Quality

MAX_RETRIES: Final = 20
"""How many recorders a task may lose before it ends."""


class Phase(IntEnum):
    """The stages of a task, in their only order."""

    NORMAL = 0
    RECORDING = 1
    CANCELED = 2
    TRANSCODE = 3
    UPLOAD = 4
    CALLBACK = 5
    FINISHED = 6


class MissingTask(LookupError):
    """An event came before its task was created: the log is not whole."""


class Page(Frozen):
    """A page to record: its URL redacted, and where it rests in full."""

    record_url: str
    secrets_key: str


class Task(Frozen):
    """The present state of a task. `recorder_id` is set while a recorder owns it, under `epoch`."""

    task_id: TaskId
    application: str = ""
    phase: Phase = Phase.NORMAL
    paused: bool = Field(default=False, description="kept apart from the phase: a pause survives a claim")

    record_url: str
    callback_url: str | None
    secrets_key: str = Field(description="where the parameters of Start rest in full")
    page_key: str | None = Field(default=None, description="where the page's URL rests, if not there")
    refreshes: tuple[Page | None, ...] = Field(
        default=(), description="asked for and not yet done, oldest first; None: the same page"
    )
    request_digest: str | None = None
    encoder: EncoderParameters
    max_duration_s: int
    priority: Priority
    storage_type: StorageType
    manual_start: bool = False
    page_title: str | None = None
    page_policy: PagePolicy = PagePolicy()
    queue_timeout_s: int | None = None
    output: OutputRequest
    clip: ClipSource | None = Field(default=None, description="what it is cut from, if nobody records it")

    epoch: int = 0
    recorder_id: str | None = None
    retry_num: int = 0
    last_index: dict[int, int] = Field(default_factory=dict, description="epoch → last sealed segment")
    stop_reason: StopReason | None = None
    forced: bool = Field(default=False, description="whether it was asked to stop by force")

    create_time: datetime
    start_time: datetime | None = None
    cancel_time: datetime | None = None
    stop_time: datetime | None = None
    finish_time: datetime | None = None

    outputs: tuple[Output, ...] = ()
    gaps: tuple[Gap, ...] = ()
    videos: tuple[Video, ...] = ()
    files: tuple[StoredFile, ...] = ()
    measured: dict[int, Quality] = Field(default_factory=dict, description="epoch → how well it was recorded")
    failure: Failure | None = None

    @property
    def public_id(self) -> str:
        """What the task's application calls it."""
        return public(self.application, self.task_id)

    @property
    def status(self) -> str:
        """The public status."""
        if self.phase < Phase.CANCELED and self.paused:
            return "paused"
        return self.phase.name.lower()

    @property
    def quality(self) -> Quality | None:
        """How well it was recorded, as far as that is known."""
        return Quality.of(self.measured.values())

    @property
    def claimable(self) -> bool:
        """Whether a recorder may take the task."""
        return self.phase < Phase.CANCELED and self.recorder_id is None


def evolve(task: Task | None, task_id: str, event: Event, at: datetime) -> Task:
    """The state after one more event, which happened at `at` (UTC). Total: any order of events is survived.

    Raises:
        MissingTask: there is no task yet and the event does not create one.
    """
    if isinstance(event, events.TaskCreated):
        return task or _created(task_id, event, at)
    if isinstance(event, events.ClipCreated):
        return task or _clip_created(task_id, event, at)
    if task is None:
        raise MissingTask(f"{event.type} of task {task_id} precedes its creation")
    return task.model_copy(update=_changes(task, event, at))


def _created(task_id: str, event: events.TaskCreated, at: datetime) -> Task:
    return Task(
        task_id=task_id,
        application=event.application,
        request_digest=event.request_digest,
        record_url=event.record_url,
        callback_url=event.callback_url,
        secrets_key=event.secrets_key,
        encoder=event.encoder,
        max_duration_s=event.max_duration_s,
        priority=event.priority,
        storage_type=event.storage_type,
        manual_start=event.manual_start,
        page_title=event.page_title,
        page_policy=event.page_policy,
        queue_timeout_s=event.queue_timeout_s,
        output=event.output,
        create_time=at,
    )


def _clip_created(task_id: str, event: events.ClipCreated, at: datetime) -> Task:
    return Task(
        task_id=task_id,
        phase=Phase.TRANSCODE,
        application=event.application,
        request_digest=event.request_digest,
        record_url=event.record_url,
        callback_url=event.callback_url,
        secrets_key=event.secrets_key,
        encoder=event.encoder,
        max_duration_s=0,
        priority=Priority.NORMAL,
        storage_type=event.storage_type,
        output=event.output,
        clip=event.clip,
        create_time=at,
    )


def _changes(task: Task, event: Event, at: datetime) -> dict[str, object]:
    def reach(phase: Phase) -> Phase:
        return max(task.phase, phase)

    match event:
        case events.RecordingClaimed():
            # A recorder opens the page that was asked for last, and so answers all that were.
            return {
                "epoch": max(task.epoch, event.epoch),
                "recorder_id": event.recorder_id,
                "refreshes": (),
                **_shown(*task.refreshes),
            }
        case events.RecordingStarted():
            return {"phase": reach(Phase.RECORDING), "start_time": task.start_time or event.wall_time}
        case events.PauseRequested():
            return {"phase": reach(Phase.RECORDING), "paused": True}
        case events.ResumeRequested():
            return {"phase": reach(Phase.RECORDING), "paused": False}
        case events.RefreshRequested():
            return {"refreshes": (*task.refreshes, _page(event))}
        case events.PageRefreshed():
            done, remaining = task.refreshes[:1], task.refreshes[1:]
            return {"refreshes": remaining, **(_shown(*done) if event.failure is None else {})}
        case events.StopRequested():
            return {
                "phase": reach(Phase.CANCELED),
                "cancel_time": task.cancel_time or at,
                "stop_reason": task.stop_reason or event.reason,
                "forced": task.forced or event.force,
            }
        case events.RecordingStopped():
            return {
                "phase": reach(Phase.TRANSCODE),
                "recorder_id": None,
                "stop_time": task.stop_time or at,
                "last_index": task.last_index | event.last_index,
                "failure": task.failure or event.failure,
            }
        case events.RecorderLost():
            sealed = {} if event.last_index is None else {event.epoch: event.last_index}
            return {
                "recorder_id": None,
                "retry_num": task.retry_num + 1,
                "last_index": task.last_index | sealed,
            }
        case events.RecordingMeasured():
            return {"measured": task.measured | {event.epoch: event.quality}}
        case events.OutputsPackaged():
            return {"phase": reach(Phase.UPLOAD), "outputs": event.outputs, "gaps": event.gaps}
        case events.LivePublished():
            return {"files": (*task.files, event.file)}
        case events.OutputsUploaded():
            return {
                "phase": reach(Phase.CALLBACK),
                "videos": event.videos,
                "files": (*task.files, *event.files),
                "finish_time": task.finish_time or at,
            }
        case events.RecordingFailed():
            return {
                "phase": reach(Phase.CALLBACK),
                "recorder_id": None,
                "stop_time": task.stop_time or at,
                "failure": event.failure,
            }
        case events.PackagingFailed() | events.UploadFailed():
            return {"phase": reach(Phase.CALLBACK), "failure": event.failure}
        case events.CallbackFailed():
            # An earlier failure says more than an unreachable receiver does, but clients look for this code.
            message = f"Callback failed even after all tries. last error message:{event.last_error}"
            return {"phase": Phase.FINISHED, "failure": Failure(code="CallbackFailed", message=message)}
        case events.CallbackDelivered() | events.CallbackSkipped():
            return {"phase": Phase.FINISHED}
        case _:
            return {}  # facts that change nothing a reader of the task asks for


def _page(requested: events.RefreshRequested) -> Page | None:
    if requested.record_url is None or requested.secrets_key is None:
        return None
    return Page(record_url=requested.record_url, secrets_key=requested.secrets_key)


def _shown(*pages: Page | None) -> dict[str, object]:
    """The page is the last one of these that is another than before."""
    for page in reversed(pages):
        if page:
            return {"record_url": page.record_url, "page_key": page.secrets_key}
    return {}
