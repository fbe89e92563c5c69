"""Tasks that find no room wait in their order, urgent ones first, and not for longer than they may."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import running_stack
from tests.e2e.panoreel import Panoreel
from tests.servers.pages import serve_pages


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panoreel]:
    """A stack that records one page at a time."""
    data = tmp_path_factory.mktemp("narrow") / "data"
    with running_stack(data, PANOREEL_MAX_RECORDINGS="1") as panoreel:
        yield panoreel


def happened_at(events: list[dict[str, Any]], kind: str) -> datetime:
    return next(datetime.fromisoformat(event["Time"]) for event in events if event["Type"] == kind)


def test_urgent_tasks_come_first_and_none_waits_for_longer_than_it_may(narrow: Panoreel, site: str) -> None:
    url = f"{site}/still.html"

    def start(limit_s: int = 1, **data: Any) -> str:
        task_id: str = narrow.act("Start", RecordURL=url, MaxDurationLimit=limit_s, **data)["TaskID"]
        return task_id

    with serve_pages() as receiver:
        first = start(600)
        narrow.await_task(first, lambda task: task["Status"] == "recording")
        hasty = start(QueueTimeout=1, Priority="low", CallbackURL=f"{receiver.address}/done")
        patient = start(Priority="low", QueueTimeout=600)
        waiting = [patient, start(), start(), start(Priority="high")]
        expired = narrow.await_task(hasty, lambda task: task["Status"] == "finished")
        assert expired["Result"]["ErrorCode"] == "QueueTimeout"
        assert "within 1 s" in expired["Result"]["ErrorMessage"]
        narrow.act("Stop", TaskID=first)
        [told] = receiver.asked("/done")
        assert b"QueueTimeout" in told.body
    assert "recording_claimed" not in (event["Type"] for event in narrow.events(hasty))
    for task_id in (first, *waiting):
        task = narrow.await_task(task_id, lambda task: task["Status"] == "finished")
        assert len(task["Result"]["Videos"]) == 1
    histories = {task_id: narrow.events(task_id) for task_id in (first, *waiting)}
    low, normal, later, high = waiting
    order = sorted(histories, key=lambda task_id: happened_at(histories[task_id], "recording_claimed"))
    assert order == [first, high, normal, later, low]
    for before, after in pairwise(order):
        stopped = happened_at(histories[before], "recording_stopped")
        assert stopped < happened_at(histories[after], "recording_claimed"), "one at a time"
    log = (narrow.data / "logs" / "recorder.log").read_text()
    assert "MAX_RECORDINGS, 1, is reached" in log
