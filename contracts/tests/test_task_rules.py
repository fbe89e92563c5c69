"""Given events, when a command comes, then these events follow, or a refusal."""

from datetime import timedelta

import pytest

from contracts.tests.examples import (
    BEGIN,
    CLAIMED,
    CREATED,
    FAILURE,
    LOST,
    PACKAGED,
    STARTED,
    STOP_REQUESTED,
    STOPPED,
    UPLOADED,
    folded,
)
from panoreel.contracts import commands, events
from panoreel.contracts.commands import Command, decide
from panoreel.contracts.events import Event
from panoreel.contracts.identifiers import Priority
from panoreel.contracts.task import MAX_RETRIES

RECORDING = (CREATED, CLAIMED, STARTED)
PAUSED = (*RECORDING, events.PauseRequested())
CANCELED = (*RECORDING, STOP_REQUESTED)
TRANSCODE = (*CANCELED, STOPPED)
UPLOAD = (*TRANSCODE, PACKAGED)
CALLBACK = (*UPLOAD, UPLOADED)
FINISHED = (*CALLBACK, events.CallbackSkipped())
LOST_BEFORE = (*RECORDING, LOST)
SECOND_EPOCH = (*LOST_BEFORE, events.RecordingClaimed(epoch=2, recorder_id="recorder-2"))
LAST_CHANCE = (CREATED, *(event for _ in range(MAX_RETRIES) for event in (CLAIMED, LOST)), CLAIMED)
EMPTY_HANDED = events.RecorderLost(epoch=1, last_index=None, reason="gone")

STOP = commands.Stop("api")
FORCED = events.StopRequested(reason="api", force=True)
MOVED = events.RefreshRequested(record_url="https://b/", secrets_key="k")
LATER = BEGIN + timedelta(hours=1)


def lost(epoch: int, last_index: int | None) -> Event:
    return events.RecorderLost(epoch=epoch, last_index=last_index, reason="gone", priority=Priority.HIGH)


THEN: list[tuple[tuple[Event, ...], Command, tuple[Event, ...]]] = [
    ((), commands.Create(CREATED), (CREATED,)),
    ((CREATED,), commands.Claim("r"), (events.RecordingClaimed(epoch=1, recorder_id="r"),)),
    (LOST_BEFORE, commands.Claim("r"), (events.RecordingClaimed(epoch=2, recorder_id="r"),)),
    ((CREATED,), commands.Pause(), (events.PauseRequested(),)),
    (RECORDING, commands.Pause(), (events.PauseRequested(),)),
    (PAUSED, commands.Pause(), ()),
    (PAUSED, commands.Resume(), (events.ResumeRequested(),)),
    ((CREATED, events.PauseRequested()), commands.Resume(), (events.ResumeRequested(),)),
    (RECORDING, commands.Resume(), ()),
    (RECORDING, commands.Refresh(), (events.RefreshRequested(),)),
    (PAUSED, commands.Refresh(), (events.RefreshRequested(),)),
    ((CREATED,), commands.Refresh(), ()),
    (CANCELED, commands.Refresh(), ()),
    (FINISHED, commands.Refresh(), ()),
    (RECORDING, commands.Refresh("https://b/", "k"), (MOVED,)),
    (RECORDING, STOP, (STOP_REQUESTED,)),
    (RECORDING, commands.ForceStop(), (FORCED,)),
    (CANCELED, commands.ForceStop(), (FORCED,)),
    ((*CANCELED, FORCED), commands.ForceStop(), ()),
    ((*RECORDING, FORCED), commands.ForceStop(), ()),
    ((CREATED,), commands.ForceStop(), (FORCED, events.RecordingStopped(last_index={}))),
    (PAUSED, commands.ReportPaused(1), (events.RecordingPaused(epoch=1),)),
    (RECORDING, commands.ReportResumed(1), (events.RecordingResumed(epoch=1),)),
    (RECORDING, commands.ReportRefreshed(1), (events.PageRefreshed(epoch=1),)),
    (RECORDING, commands.ReportRefreshed(1, FAILURE), (events.PageRefreshed(epoch=1, failure=FAILURE),)),
    (PAUSED, commands.Stop("page"), (events.StopRequested(reason="page"),)),
    ((CREATED, CLAIMED), STOP, (STOP_REQUESTED,)),
    # Nobody is there who could end the capture: the stop ends it.
    ((CREATED,), STOP, (STOP_REQUESTED, events.RecordingStopped(last_index={}))),
    (LOST_BEFORE, STOP, (STOP_REQUESTED, events.RecordingStopped(last_index={1: 3}))),
    (CANCELED, STOP, ()),
    (TRANSCODE, STOP, ()),
    (UPLOAD, STOP, ()),
    (CALLBACK, STOP, ()),
    (FINISHED, STOP, ()),
    (
        (CREATED, CLAIMED),
        commands.ReportStarted(1, LATER),
        (events.RecordingStarted(epoch=1, wall_time=LATER),),
    ),
    (
        CANCELED,
        commands.ReportStopped(1, 7, 900),
        (events.RecordingStopped(last_index={1: 7}, frames=900),),
    ),
    (CANCELED, commands.ReportStopped(1, None, 0), (events.RecordingStopped(last_index={}),)),
    (
        (*SECOND_EPOCH, STOP_REQUESTED),
        commands.ReportStopped(2, 0, 5),
        (events.RecordingStopped(last_index={1: 3, 2: 0}, frames=5),),
    ),
    (RECORDING, commands.ReportLost(1, 3, "gone"), (lost(1, 3),)),
    (
        CANCELED,
        commands.ReportLost(1, 3, "gone"),
        (lost(1, 3), events.RecordingStopped(last_index={1: 3})),
    ),
    # The 21st loss is one too many; what was recorded is delivered all the same.
    (
        LAST_CHANCE,
        commands.ReportLost(1, 9, "gone"),
        (
            lost(1, 9),
            events.RecordingStopped(
                last_index={1: 9},
                failure=events.Failure(
                    code="InternalErr",
                    message="this task already exceed maxRetryNum; the last recorder was lost because: gone",
                ),
            ),
        ),
    ),
    (
        RECORDING,
        commands.FailRecording(1, None, FAILURE),
        (events.RecordingFailed(failure=FAILURE),),
    ),
    (
        RECORDING,
        commands.FailRecording(1, 4, FAILURE),
        (events.RecordingStopped(last_index={1: 4}, failure=FAILURE),),
    ),
    (TRANSCODE, commands.ReportPackaged(PACKAGED), (PACKAGED,)),
    (UPLOAD, commands.ReportPackaged(PACKAGED), ()),
    (UPLOAD, commands.ReportUploaded(UPLOADED), (UPLOADED,)),
    (CALLBACK, commands.ReportUploaded(UPLOADED), ()),
    (CALLBACK, commands.ReportCallback(events.CallbackSkipped()), (events.CallbackSkipped(),)),
    (FINISHED, commands.ReportCallback(events.CallbackSkipped()), ()),
]

REFUSED: list[tuple[tuple[Event, ...], Command, type[commands.Rejected]]] = [
    ((CREATED,), commands.Create(CREATED), commands.TaskExists),
    ((), STOP, commands.TaskNotFound),
    ((), commands.Claim("r"), commands.TaskNotFound),
    ((CREATED, CLAIMED), commands.Claim("r"), commands.NotClaimable),
    (CANCELED, commands.Claim("r"), commands.NotClaimable),
    (TRANSCODE, commands.Claim("r"), commands.NotClaimable),
    (CANCELED, commands.Pause(), commands.InvalidStatus),
    (FINISHED, commands.Pause(), commands.InvalidStatus),
    ((CREATED,), commands.Resume(), commands.InvalidStatus),
    (TRANSCODE, commands.ForceStop(), commands.PastStop),
    (FINISHED, commands.ForceStop(), commands.PastStop),
    (SECOND_EPOCH, commands.ReportPaused(1), commands.StaleEpoch),
    (LOST_BEFORE, commands.ReportRefreshed(1), commands.StaleEpoch),
    (CANCELED, commands.Resume(), commands.InvalidStatus),
    (RECORDING, commands.ReportStopped(1, 7, 900), commands.InvalidStatus),
    (SECOND_EPOCH, commands.ReportStarted(1, LATER), commands.StaleEpoch),
    ((*SECOND_EPOCH, STOP_REQUESTED), commands.ReportStopped(1, 7, 1), commands.StaleEpoch),
    (SECOND_EPOCH, commands.ReportLost(1, 7, "gone"), commands.StaleEpoch),
    (LOST_BEFORE, commands.ReportLost(1, 7, "gone"), commands.StaleEpoch),
    (LOST_BEFORE, commands.FailRecording(1, 7, FAILURE), commands.StaleEpoch),
    (TRANSCODE, commands.ReportStopped(1, 7, 900), commands.StaleEpoch),
    (RECORDING, commands.ReportPackaged(PACKAGED), commands.InvalidStatus),
    (TRANSCODE, commands.ReportUploaded(UPLOADED), commands.InvalidStatus),
    (UPLOAD, commands.ReportCallback(events.CallbackSkipped()), commands.InvalidStatus),
]


def _name(value: object) -> str | None:
    if isinstance(value, tuple):
        return "+".join(event.type for event in value[-2:]) or "nothing"
    return type(value).__name__ if not isinstance(value, type) else value.__name__


@pytest.mark.parametrize(("given", "when", "then"), THEN, ids=_name)
def test_command_leads_to_events(given: tuple[Event, ...], when: Command, then: tuple[Event, ...]) -> None:
    assert decide(folded(*given) if given else None, when) == then


@pytest.mark.parametrize(("given", "when", "refusal"), REFUSED, ids=_name)
def test_command_is_refused(
    given: tuple[Event, ...], when: Command, refusal: type[commands.Rejected]
) -> None:
    with pytest.raises(refusal) as caught:
        decide(folded(*given) if given else None, when)
    assert str(caught.value)


def test_refusals_speak_the_words_that_clients_know() -> None:
    with pytest.raises(commands.TaskNotFound, match=r"^invalid task id, task not found$"):
        decide(None, STOP)
    with pytest.raises(commands.InvalidStatus, match=r"^can't pause a task in status finished$"):
        decide(folded(*FINISHED), commands.Pause())


def test_twenty_first_loss_without_media_fails_the_task() -> None:
    given = (CREATED, *(event for _ in range(MAX_RETRIES) for event in (CLAIMED, EMPTY_HANDED)), CLAIMED)
    _, outcome = decide(folded(*given), commands.ReportLost(1, None, "gone"))
    assert isinstance(outcome, events.RecordingFailed)
    assert outcome.failure.code == "InternalErr"
    assert folded(*given[:-1]).claimable


@pytest.mark.parametrize(
    ("history", "status"),
    [
        ((CREATED,), "normal"),
        ((CREATED, CLAIMED), "normal"),
        (RECORDING, "recording"),
        ((CREATED, events.PauseRequested()), "paused"),
        # A pause that came before the claim survives it.
        ((CREATED, events.PauseRequested(), CLAIMED, STARTED), "paused"),
        ((*PAUSED, events.RecordingPaused(epoch=1), LOST), "paused"),
        ((*PAUSED, events.ResumeRequested()), "recording"),
        ((CREATED, events.PauseRequested(), events.ResumeRequested()), "recording"),
        ((*PAUSED, STOP_REQUESTED), "canceled"),
        (LOST_BEFORE, "recording"),
        ((CREATED, CLAIMED, EMPTY_HANDED), "normal"),
        (TRANSCODE, "transcode"),
        (UPLOAD, "upload"),
        (CALLBACK, "callback"),
        (FINISHED, "finished"),
        ((*RECORDING, events.RecordingFailed(failure=FAILURE)), "callback"),
        ((*TRANSCODE, events.PackagingFailed(failure=FAILURE)), "callback"),
        ((*UPLOAD, events.UploadFailed(failure=FAILURE)), "callback"),
        ((*CALLBACK, events.CallbackFailed(attempts=5, last_error="refused")), "finished"),
        ((*CALLBACK, events.CallbackDelivered(attempts=1)), "finished"),
    ],
)
def test_status(history: tuple[Event, ...], status: str) -> None:
    assert folded(*history).status == status


def test_times_are_those_of_the_first_occurrence() -> None:
    restarted = events.RecordingStarted(epoch=2, wall_time=LATER)
    task = folded(
        *SECOND_EPOCH, restarted, STOP_REQUESTED, STOP_REQUESTED, STOPPED, STOPPED, UPLOADED, UPLOADED
    )
    assert task.create_time == BEGIN
    assert task.start_time == STARTED.wall_time
    assert task.cancel_time == BEGIN + timedelta(seconds=6)
    assert task.stop_time == BEGIN + timedelta(seconds=8)
    assert task.finish_time == BEGIN + timedelta(seconds=10)


DONE = events.PageRefreshed(epoch=1)
FAILED = events.PageRefreshed(epoch=1, failure=FAILURE)
AGAIN = events.RefreshRequested()
MOVED_ON = events.RefreshRequested(record_url="https://c/", secrets_key="l")
CLAIMED_AGAIN = events.RecordingClaimed(epoch=2, recorder_id="recorder-2")


@pytest.mark.parametrize(
    ("history", "page"),
    [
        ((MOVED,), (CREATED.record_url, None)),
        ((MOVED, DONE), ("https://b/", "k")),
        ((MOVED, FAILED), (CREATED.record_url, None)),
        ((MOVED, FAILED, AGAIN, DONE), (CREATED.record_url, None)),
        ((MOVED, AGAIN, DONE), ("https://b/", "k")),
        ((MOVED, MOVED_ON, DONE), ("https://b/", "k")),
        ((MOVED, MOVED_ON, DONE, FAILED), ("https://b/", "k")),
        ((MOVED, MOVED_ON, FAILED, DONE), ("https://c/", "l")),
        # A recorder that is lost before it has done so leaves it to the next one.
        ((MOVED, LOST), (CREATED.record_url, None)),
        ((MOVED, MOVED_ON, AGAIN, LOST, CLAIMED_AGAIN), ("https://c/", "l")),
        ((MOVED, FAILED, LOST, CLAIMED_AGAIN), (CREATED.record_url, None)),
        ((DONE,), (CREATED.record_url, None)),
    ],
)
def test_the_page_that_a_recorder_would_open(
    history: tuple[Event, ...], page: tuple[str, str | None]
) -> None:
    task = folded(*RECORDING, *history)
    assert (task.record_url, task.page_key) == page
    assert task.secrets_key == CREATED.secrets_key


def test_first_stop_reason_and_every_epochs_last_index_are_kept() -> None:
    limit = events.StopRequested(reason="duration_limit")
    stopped = events.RecordingStopped(last_index={1: 3, 2: 5})
    task = folded(*SECOND_EPOCH, limit, STOP_REQUESTED, stopped)
    assert task.stop_reason == "duration_limit"
    assert task.last_index == {1: 3, 2: 5}
    assert task.retry_num == 1
    assert task.recorder_id is None


def test_failed_recording_has_no_finish_time() -> None:
    task = folded(*RECORDING, events.RecordingFailed(failure=FAILURE), events.CallbackSkipped())
    assert (task.status, task.failure, task.finish_time) == ("finished", FAILURE, None)
