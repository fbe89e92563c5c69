"""Whatever happens, in whatever order: a task's status never goes back, and only refusals are raised."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tests.examples import (
    BEGIN,
    CLIPPED,
    CREATED,
    FAILURE,
    GAP,
    INTERRUPTED,
    LIVE,
    MEASURED,
    PACKAGED,
    TASK_ID,
    TROUBLED,
    UPLOADED,
    folded,
)
from panoreel.contracts import commands, events
from panoreel.contracts.answers import describe
from panoreel.contracts.commands import Command, Rejected, decide
from panoreel.contracts.events import EVENT_TYPES, Event
from panoreel.contracts.task import MissingTask, Task, evolve

RANK = {
    "normal": 0,
    "recording": 1,
    "paused": 1,
    "canceled": 2,
    "transcode": 3,
    "upload": 4,
    "callback": 5,
    "finished": 6,
}

epochs = st.integers(1, 4)
indexes = st.integers(0, 9)
last_indexes = st.none() | indexes
reasons = st.sampled_from(("api", "page", "duration_limit"))
failures = st.builds(events.Failure, code=st.just("InternalError"), message=st.text(max_size=5))
times = st.datetimes(BEGIN.replace(tzinfo=None), datetime(2027, 1, 1)).map(
    lambda time: time.replace(tzinfo=BEGIN.tzinfo)
)

FACTS: dict[type[Event], st.SearchStrategy[Event]] = {
    events.TaskCreated: st.just(CREATED),
    events.RecordingClaimed: st.builds(
        events.RecordingClaimed, epoch=epochs, recorder_id=st.sampled_from("ab")
    ),
    events.RecordingStarted: st.builds(events.RecordingStarted, epoch=epochs, wall_time=times),
    events.PauseRequested: st.just(events.PauseRequested()),
    events.RecordingPaused: st.builds(events.RecordingPaused, epoch=epochs),
    events.ResumeRequested: st.just(events.ResumeRequested()),
    events.RecordingResumed: st.builds(events.RecordingResumed, epoch=epochs),
    events.RefreshRequested: st.just(events.RefreshRequested())
    | st.just(events.RefreshRequested(record_url="https://b/", secrets_key="k")),
    events.PageRefreshed: st.builds(events.PageRefreshed, epoch=epochs),
    events.PageTroubled: st.just(TROUBLED),
    events.CaptureInterrupted: st.just(INTERRUPTED),
    events.GapRecorded: st.just(GAP),
    events.RecordingMeasured: st.builds(
        events.RecordingMeasured, epoch=epochs, quality=st.just(MEASURED.quality)
    ),
    events.StopRequested: st.builds(events.StopRequested, reason=reasons),
    events.RecordingStopped: st.builds(
        events.RecordingStopped,
        last_index=st.dictionaries(epochs, indexes, max_size=3),
        failure=st.none() | failures,
    ),
    events.RecorderLost: st.builds(
        events.RecorderLost, epoch=epochs, last_index=last_indexes, reason=st.just("gone")
    ),
    events.RecordingFailed: st.builds(events.RecordingFailed, failure=failures),
    events.OutputsPackaged: st.just(PACKAGED),
    events.PackagingFailed: st.builds(events.PackagingFailed, failure=failures),
    events.ClipCreated: st.just(CLIPPED),
    events.LivePublished: st.just(LIVE),
    events.OutputsUploaded: st.just(UPLOADED),
    events.UploadFailed: st.builds(events.UploadFailed, failure=failures),
    events.CallbackDelivered: st.just(events.CallbackDelivered(attempts=1)),
    events.CallbackFailed: st.just(events.CallbackFailed(attempts=5, last_error="refused")),
    events.CallbackSkipped: st.just(events.CallbackSkipped()),
}
CREATIONS = (events.TaskCreated, events.ClipCreated)
histories = st.lists(st.one_of(list(FACTS.values())), max_size=30)

orders = st.one_of(
    st.just(commands.Create(CREATED)),
    st.builds(commands.Claim, st.sampled_from("ab")),
    st.just(commands.Pause()),
    st.just(commands.Resume()),
    st.just(commands.Refresh()),
    st.builds(commands.Stop, reasons),
    st.just(commands.ForceStop()),
    st.just(commands.Expire()),
    st.builds(commands.ReportAccident, st.sampled_from((TROUBLED, INTERRUPTED, GAP))),
    st.builds(commands.ReportMeasured, epochs, st.just(MEASURED.quality)),
    st.builds(commands.ReportPaused, epochs),
    st.builds(commands.ReportResumed, epochs),
    st.builds(commands.ReportRefreshed, epochs, st.none() | failures),
    st.builds(commands.ReportStarted, epochs, times),
    st.builds(commands.ReportStopped, epochs, last_indexes, indexes),
    st.builds(commands.ReportLost, epochs, last_indexes, st.just("gone")),
    st.builds(commands.FailRecording, epochs, last_indexes, failures),
    st.builds(commands.ReportPackaged, st.sampled_from((PACKAGED, events.PackagingFailed(failure=FAILURE)))),
    st.just(commands.CreateClip(CLIPPED)),
    st.just(commands.ReportLive(LIVE)),
    st.builds(commands.ReportUploaded, st.sampled_from((UPLOADED, events.UploadFailed(failure=FAILURE)))),
    st.builds(
        commands.ReportCallback,
        st.sampled_from((events.CallbackDelivered(attempts=1), events.CallbackSkipped())),
    ),
)


def check_step(before: Task, after: Task) -> None:
    assert RANK[after.status] >= RANK[before.status]
    assert after.retry_num >= before.retry_num
    assert after.epoch >= before.epoch
    for name in ("create_time", "start_time", "cancel_time", "stop_time", "finish_time", "stop_reason"):
        if getattr(before, name) is not None:
            assert getattr(after, name) == getattr(before, name)


def test_every_event_type_is_generated() -> None:
    assert set(FACTS) == set(EVENT_TYPES.values())


@given(histories)
def test_no_sequence_of_events_lowers_the_status(history: list[Event]) -> None:
    task = folded(CREATED)
    for second, event in enumerate(history):
        following = evolve(task, TASK_ID, event, BEGIN + timedelta(seconds=second))
        check_step(task, following)
        assert describe(following)["Status"] == following.status
        task = following


@given(histories)
def test_evolve_is_deterministic_and_survives_storage(history: list[Event]) -> None:
    task = folded(CREATED, *history)
    assert folded(CREATED, *history) == task
    assert Task.model_validate_json(task.model_dump_json()) == task


@given(
    histories, st.sampled_from((events.CallbackSkipped(), events.CallbackDelivered(attempts=1))), histories
)
def test_finished_is_final(before: list[Event], end: Event, after: list[Event]) -> None:
    assert folded(CREATED, *before, end, *after).status == "finished"


@given(st.one_of([fact for event, fact in FACTS.items() if not issubclass(event, CREATIONS)]))
def test_nothing_precedes_the_creation(event: Event) -> None:
    with pytest.raises(MissingTask):
        evolve(None, TASK_ID, event, BEGIN)


@given(st.lists(orders, max_size=40))
def test_no_sequence_of_commands_lowers_the_status(sequence: list[Command]) -> None:
    task: Task | None = None
    for second, command in enumerate(sequence):
        try:
            following = decide(task, command)
        except Rejected:
            continue
        for event in following:
            before, task = task, evolve(task, TASK_ID, event, BEGIN + timedelta(seconds=second))
            if before:
                check_step(before, task)


@given(histories, orders)
def test_any_command_upon_any_state_is_decided_or_refused(history: list[Event], command: Command) -> None:
    task = folded(CREATED, *history)
    try:
        following = decide(task, command)
    except Rejected:
        following = ()
    for event in following:
        check_step(task, task := evolve(task, TASK_ID, event, BEGIN))


@given(st.lists(orders, max_size=25), orders)
def test_what_was_done_is_not_done_twice(sequence: list[Command], command: Command) -> None:
    """Repeating a command straight away never changes the public status again."""
    task: Task | None = None
    for order in [commands.Create(CREATED), *sequence, command]:
        try:
            for event in decide(task, order):
                task = evolve(task, TASK_ID, event, BEGIN)
        except Rejected:
            continue
    assert task is not None
    status = task.status
    try:
        for event in decide(task, command):
            task = evolve(task, TASK_ID, event, BEGIN)
    except Rejected:
        pass
    assert task.status == status
