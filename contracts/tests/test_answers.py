"""What `Describe` and the callback show."""

from datetime import timedelta

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
    TASK_ID,
    UPLOADED,
    folded,
)
from panoreel.contracts import events
from panoreel.contracts.answers import describe

BEGIN_S = 1767323045


def test_new_task_shows_nothing_that_is_empty() -> None:
    assert describe(folded(CREATED)) == {
        "TaskID": TASK_ID,
        "Status": "normal",
        "CreateTime": BEGIN_S,
        "StorageType": "cfs",
    }


def test_finished_task_shows_times_in_unix_seconds_and_its_videos() -> None:
    history = (
        CREATED,
        CLAIMED,
        STARTED,
        STOP_REQUESTED,
        STOPPED,
        PACKAGED,
        UPLOADED,
        events.CallbackSkipped(),
    )
    assert describe(folded(*history)) == {
        "TaskID": TASK_ID,
        "Status": "finished",
        "CreateTime": BEGIN_S,
        "StartTime": BEGIN_S + 2,
        "CancelTime": BEGIN_S + 3,
        "StopTime": BEGIN_S + 4,
        "FinishTime": BEGIN_S + 6,
        "StorageType": "cfs",
        "Result": {
            "Videos": [
                {
                    "Filename": "first.mp4",
                    "FileSize": 1000,
                    "FileDuration": 30,
                    "FileURL": "https://example.com/first.mp4",
                }
            ]
        },
    }


def test_failure_and_lost_recorders_are_shown() -> None:
    answer = describe(folded(CREATED, CLAIMED, LOST, CLAIMED, events.RecordingFailed(failure=FAILURE)))
    assert answer["Result"] == {"ErrorCode": "InternalError", "ErrorMessage": "it broke"}
    assert answer["RetryNum"] == 1
    assert answer["Status"] == "callback"


def test_fractions_of_a_second_are_cut_off() -> None:
    started = events.RecordingStarted(epoch=1, wall_time=BEGIN + timedelta(milliseconds=2999))
    assert describe(folded(CREATED, started))["StartTime"] == BEGIN_S + 2
