"""One valid example of every event, and tasks in every state, for the tests of this package."""

from datetime import UTC, datetime, timedelta

from panoreel.contracts import events
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import (
    ClipRange,
    ClipSource,
    Event,
    Failure,
    Gap,
    Output,
    OutputRequest,
    StoredFile,
    Video,
)
from panoreel.contracts.identifiers import Priority
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.quality import Quality
from panoreel.contracts.task import Task, evolve

TASK_ID = "example-task_1"
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CAUSE = Cause(actor="test")
FAILURE = Failure(code="InternalError", message="it broke")

CREATED = events.TaskCreated(
    record_url="https://example.com/room",
    callback_url="https://example.com/told",
    secrets_key=TASK_ID,
    encoder=EncoderParameters(width=1280, height=720, weighted_prediction=1),
    max_duration_s=3600,
    priority=Priority.HIGH,
    output=OutputRequest(bucket="videos", target_dir="lessons", target_name="first"),
)
CLAIMED = events.RecordingClaimed(epoch=1, recorder_id="recorder-1")
STARTED = events.RecordingStarted(epoch=1, wall_time=BEGIN + timedelta(seconds=2))
TROUBLED = events.PageTroubled(
    epoch=1,
    trouble="http_error",
    remedy="reload",
    message="it answered 502 Bad Gateway",
    wall_time=BEGIN + timedelta(seconds=5),
)
INTERRUPTED = events.CaptureInterrupted(
    epoch=1, cause="display", message="the X server ended", wall_time=BEGIN + timedelta(seconds=6)
)
GAP = events.GapRecorded(
    epoch=1, cause="display", began=BEGIN + timedelta(seconds=6), ended=BEGIN + timedelta(seconds=8)
)
MEASURED = events.RecordingMeasured(
    epoch=1,
    quality=Quality(
        recorded_s=30.5,
        frames_captured=900,
        frames_encoded=900,
        frames_dropped=2,
        frames_repeated=3,
        skew_p50_ms=0.5,
        skew_p95_ms=4.5,
        gaps=1,
        gap_s=2.0,
        cores=0.55,
        preset_steps=1,
        silence_s=4.0,
        black_s=1.0,
    ),
)
STOP_REQUESTED = events.StopRequested(reason="api")
STOPPED = events.RecordingStopped(last_index={1: 7}, frames=900)
LOST = events.RecorderLost(epoch=1, last_index=3, reason="no sign of life", priority=Priority.HIGH)
PACKAGED = events.OutputsPackaged(
    outputs=(Output(blob_key="out/first.mp4", bytes=1000, sha256="a" * 64, duration_s=30.5, frames=900),),
    gaps=(Gap(output_s=10.0, lost_s=2.5, wall_time=BEGIN + timedelta(seconds=12)),),
)
UPLOADED = events.OutputsUploaded(
    videos=(Video(filename="first.mp4", bytes=1000, duration_s=30.5, url="https://example.com/first.mp4"),)
)

LIVE = events.LivePublished(
    file=StoredFile(kind="live", filename="first-live.m3u8", url="https://example.com/first-live.m3u8")
)
CLIPPED = events.ClipCreated(
    clip=ClipSource(task_id=TASK_ID, ranges=(ClipRange(start_s=1.5, end_s=3.25),)),
    record_url="https://example.com/",
    secrets_key="clip-1",
    encoder=CREATED.encoder,
    storage_type="cfs",
)

EXAMPLES: tuple[Event, ...] = (
    CREATED,
    CLIPPED,
    CLAIMED,
    STARTED,
    events.PauseRequested(),
    events.RecordingPaused(epoch=1),
    events.ResumeRequested(),
    events.RecordingResumed(epoch=1),
    events.RefreshRequested(),
    events.PageRefreshed(epoch=1),
    TROUBLED,
    INTERRUPTED,
    GAP,
    MEASURED,
    STOP_REQUESTED,
    STOPPED,
    LOST,
    events.RecordingFailed(failure=FAILURE),
    PACKAGED,
    events.PackagingFailed(failure=FAILURE),
    LIVE,
    UPLOADED,
    events.UploadFailed(failure=FAILURE),
    events.CallbackDelivered(attempts=2),
    events.CallbackFailed(attempts=5, last_error="status 500"),
    events.CallbackSkipped(),
)


def folded(*history: Event) -> Task:
    """The task after `history`, one second between its events."""
    task: Task | None = None
    for second, event in enumerate(history):
        task = evolve(task, TASK_ID, event, BEGIN + timedelta(seconds=second))
    assert task is not None
    return task


def segment(task_id: str, epoch: int, index: int) -> Segment:
    """A segment of three seconds."""
    return Segment(
        task_id=task_id,
        blob_key=f"segments/{task_id}/{epoch}/{index}",
        epoch=epoch,
        index=index,
        bytes=1000 + index,
        sha256="b" * 64,
        first_pts=index * 270_000,
        end_pts=(index + 1) * 270_000,
        first_sample=index * 144_000,
        end_sample=(index + 1) * 144_000,
        frames=90,
        wall_time=BEGIN + timedelta(seconds=3 * index),
    )
