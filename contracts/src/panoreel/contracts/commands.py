"""What may be asked of a task, and what follows: `decide` answers with the events to append, or rejects.

Nothing here is stored. An empty answer means success without effect: it has happened already.
"""

from dataclasses import dataclass
from datetime import datetime

from panoreel.contracts import events
from panoreel.contracts.events import Event, Failure, StopReason
from panoreel.contracts.quality import Quality
from panoreel.contracts.task import MAX_RETRIES, Phase, Task


class Rejected(Exception):
    """The task does not allow this now."""


class TaskNotFound(Rejected):
    """invalid task id, task not found"""


class TaskExists(Rejected):
    """A task of this id exists."""


class InvalidStatus(Rejected):
    """The task's status does not allow this."""


class PastStop(Rejected):
    """The task has been stopped already; its status does not go back"""


class NotClaimable(Rejected):
    """The task is owned by another recorder or needs none any more."""


class StaleEpoch(Rejected):
    """The reporting recorder no longer owns the task."""


@dataclass(frozen=True, slots=True)
class Create:
    """Begin a task."""

    event: events.TaskCreated


@dataclass(frozen=True, slots=True)
class CreateClip:
    """Begin a task that cuts a clip."""

    event: events.ClipCreated


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the task in order to record it."""

    recorder_id: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold capture."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Capture again."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Load the page again, or the other one whose redacted URL and sealed parameters are given."""

    record_url: str | None = None
    secrets_key: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """End the recording."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class ForceStop:
    """End the recording, even if its recorder hangs."""


@dataclass(frozen=True, slots=True)
class Expire:
    """End a task that no recorder has taken in time."""


@dataclass(frozen=True, slots=True)
class ReportStarted:
    """The recorder captured its first frame, at `wall_time` (UTC)."""

    epoch: int
    wall_time: datetime


@dataclass(frozen=True, slots=True)
class ReportPaused:
    """The recorder holds capture."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ReportResumed:
    """The recorder captures again."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ReportRefreshed:
    """The recorder loaded the page anew, or could not because of `failure`."""

    epoch: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ReportAccident:
    """What befell page or programs, and how it went on."""

    event: events.Accident

    @property
    def epoch(self) -> int:
        """Whose recorder reports it."""
        return self.event.epoch


@dataclass(frozen=True, slots=True)
class ReportMeasured:
    """How well the epoch was recorded; to be told before its end."""

    epoch: int
    quality: Quality


@dataclass(frozen=True, slots=True)
class ReportStopped:
    """The recorder sealed its last segment: `last_index`, or None when it captured nothing."""

    epoch: int
    last_index: int | None
    frames: int


@dataclass(frozen=True, slots=True)
class ReportLost:
    """The epoch's recorder is dead; `last_index` is the last segment it left behind."""

    epoch: int
    last_index: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class FailRecording:
    """The recorder cannot go on, and another would fail alike."""

    epoch: int
    last_index: int | None
    failure: Failure


@dataclass(frozen=True, slots=True)
class ReportPackaged:
    """The transcoder's outcome."""

    event: events.OutputsPackaged | events.PackagingFailed


@dataclass(frozen=True, slots=True)
class ReportLive:
    """The uploader has published a playlist that can be followed."""

    event: events.LivePublished


@dataclass(frozen=True, slots=True)
class ReportUploaded:
    """The uploader's outcome."""

    event: events.OutputsUploaded | events.UploadFailed


@dataclass(frozen=True, slots=True)
class ReportCallback:
    """The notifier's outcome."""

    event: events.CallbackDelivered | events.CallbackFailed | events.CallbackSkipped


RecorderReport = (
    ReportStarted
    | ReportPaused
    | ReportResumed
    | ReportRefreshed
    | ReportAccident
    | ReportMeasured
    | ReportStopped
    | ReportLost
    | FailRecording
)
Command = (
    Create
    | CreateClip
    | Claim
    | Pause
    | Resume
    | Refresh
    | Stop
    | ForceStop
    | Expire
    | RecorderReport
    | ReportPackaged
    | ReportLive
    | ReportUploaded
    | ReportCallback
)


def decide(task: Task | None, command: Command) -> tuple[Event, ...]:
    """The events that make `command` true, in order; empty when it is true already.

    Raises:
        Rejected: one of its subclasses says why not.
    """
    if isinstance(command, Create | CreateClip):
        if task is not None:
            raise TaskExists(f"TaskID {task.task_id} is taken by another task; use another one")
        return (command.event,)
    if task is None:
        raise TaskNotFound(TaskNotFound.__doc__)
    match command:
        case Claim():
            if not task.claimable:
                raise NotClaimable(NotClaimable.__doc__)
            return (events.RecordingClaimed(epoch=task.epoch + 1, recorder_id=command.recorder_id),)
        case Pause():
            return _pause(task)
        case Resume():
            return _resume(task)
        case Refresh():
            return _refresh(task, command)
        case Stop():
            return _stop(task, command.reason)
        case ForceStop():
            return _force_stop(task)
        case Expire():
            return _expire(task)
        case ReportPackaged():
            return _stage(task, Phase.TRANSCODE, command.event)
        case ReportLive():
            known = any(file.kind == "live" for file in task.files)
            return () if known or task.phase > Phase.UPLOAD else (command.event,)
        case ReportUploaded():
            return _stage(task, Phase.UPLOAD, command.event)
        case ReportCallback():
            return _stage(task, Phase.CALLBACK, command.event)
        case _:
            return _recorder_report(task, command)


def _pause(task: Task) -> tuple[Event, ...]:
    if task.phase >= Phase.CANCELED:
        raise InvalidStatus(f"can't pause a task in status {task.status}")
    return () if task.paused else (events.PauseRequested(),)


def _resume(task: Task) -> tuple[Event, ...]:
    if task.phase != Phase.RECORDING:
        raise InvalidStatus(f"can't resume a task in status {task.status}")
    return (events.ResumeRequested(),) if task.paused else ()


def _refresh(task: Task, command: Refresh) -> tuple[Event, ...]:
    if task.phase != Phase.RECORDING:
        return ()
    return (events.RefreshRequested(record_url=command.record_url, secrets_key=command.secrets_key),)


def _force_stop(task: Task) -> tuple[Event, ...]:
    if task.phase > Phase.CANCELED:
        raise PastStop(f"{PastStop.__doc__} from {task.status}")
    if task.forced:
        return ()
    return _ended(task, events.StopRequested(reason="api", force=True))


def _stop(task: Task, reason: StopReason) -> tuple[Event, ...]:
    return () if task.phase >= Phase.CANCELED else _ended(task, events.StopRequested(reason=reason))


def _expire(task: Task) -> tuple[Event, ...]:
    if task.epoch or task.phase >= Phase.CANCELED:
        return ()
    message = (
        f"no recorder had room for this task within {task.queue_timeout_s} s (QueueTimeout); "
        "wait longer, raise its Priority, or add recorders"
    )
    return (events.RecordingFailed(failure=Failure(code="QueueTimeout", message=message)),)


def _ended(task: Task, stop: Event) -> tuple[Event, ...]:
    # Nobody is there who could end the capture, so it ends here.
    return (stop,) if task.recorder_id else (stop, events.RecordingStopped(last_index=task.last_index))


def _stage(task: Task, phase: Phase, outcome: Event) -> tuple[Event, ...]:
    if task.phase > phase:
        return ()
    if task.phase < phase:
        raise InvalidStatus(f"{outcome.type} does not fit a task in status {task.status}")
    return (outcome,)


def _recorder_report(task: Task, report: RecorderReport) -> tuple[Event, ...]:
    if report.epoch != task.epoch or task.recorder_id is None:
        raise StaleEpoch(f"epoch {report.epoch} does not own task {task.task_id}")
    match report:
        case ReportStarted():
            return (events.RecordingStarted(epoch=report.epoch, wall_time=report.wall_time),)
        case ReportPaused():
            return (events.RecordingPaused(epoch=report.epoch),)
        case ReportResumed():
            return (events.RecordingResumed(epoch=report.epoch),)
        case ReportRefreshed():
            return (events.PageRefreshed(epoch=report.epoch, failure=report.failure),)
        case ReportAccident():
            return (report.event,)
        case ReportMeasured():
            return (events.RecordingMeasured(epoch=report.epoch, quality=report.quality),)
        case ReportStopped():
            if task.phase < Phase.CANCELED:
                raise InvalidStatus("a recording stops only after stop was requested")
            sealed = _sealed(task, report.epoch, report.last_index)
            return (events.RecordingStopped(last_index=sealed, frames=report.frames),)
        case ReportLost():
            return _lost(task, report)
        case FailRecording():
            sealed = _sealed(task, report.epoch, report.last_index)
            return (_given_up(sealed, report.failure),)


def _lost(task: Task, report: ReportLost) -> tuple[Event, ...]:
    lost = events.RecorderLost(
        epoch=report.epoch, last_index=report.last_index, reason=report.reason, priority=task.priority
    )
    sealed = _sealed(task, report.epoch, report.last_index)
    if task.phase >= Phase.CANCELED:
        return lost, events.RecordingStopped(last_index=sealed)
    if task.retry_num >= MAX_RETRIES:
        message = f"this task already exceed maxRetryNum; the last recorder was lost because: {report.reason}"
        failure = Failure(code="InternalErr", message=message)
        return lost, _given_up(sealed, failure)
    return (lost,)


def _given_up(sealed: dict[int, int], failure: Failure) -> Event:
    """What was recorded is delivered all the same: only a task without media fails outright."""
    if sealed:
        return events.RecordingStopped(last_index=sealed, failure=failure)
    return events.RecordingFailed(failure=failure)


def _sealed(task: Task, epoch: int, last_index: int | None) -> dict[int, int]:
    return task.last_index if last_index is None else task.last_index | {epoch: last_index}
