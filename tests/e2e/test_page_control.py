"""What the page can do, and what can be done with the page, through the whole stack."""

from pathlib import Path

import httpx
import pytest

from tests.e2e import media
from tests.e2e.panoreel import Panoreel
from tests.e2e.test_pause import happened_at

WITHIN = ("recording_paused", "recording_resumed")


def test_a_page_starts_pauses_resumes_and_stops_its_own_recording(
    panoreel: Panoreel, site: str, tmp_path: Path, slack: float
) -> None:
    task_id = panoreel.act("Start", RecordURL=f"{site}/control.html", ManualStart=True)["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "paused")
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    events = panoreel.events(task_id)
    asked = [event["Type"] for event in events if event["Actor"] == "page"]
    assert asked == ["pause_requested", "resume_requested", "stop_requested"]
    [video] = task["Result"]["Videos"]
    out = tmp_path / "control.mp4"
    out.write_bytes(httpx.get(video["FileURL"]).content)
    assert media.decode_errors(out) == []
    moments = [happened_at(events, kind) for kind in ("recording_started", *WITHIN, "stop_requested")]
    recorded_s = moments[1] - moments[0] + moments[3] - moments[2]
    assert video["FileDuration"] == pytest.approx(recorded_s, abs=0.3 * slack), "without the pause between"
    *_, last = media.frames(out)
    assert abs(last.picture[360, 640].astype(int) - (0, 255, 0)).max() <= 8, "what came after the pause"


def test_a_recording_switches_to_another_page(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    task_id = panoreel.act("Start", RecordURL=f"{site}/still.html")["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    other = f"{site}/control.html?stays&token=hunter2"
    assert "ErrorCode" not in panoreel.act("Refresh", TaskID=task_id, RecordURL=other)
    # The page that came calls pauseRecord and resumeRecord, which it could not if it were not there.
    panoreel.await_task(task_id, lambda task: task["Status"] == "paused")
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    panoreel.act("Stop", TaskID=task_id)
    panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    events = panoreel.events(task_id)
    assert [event["Data"]["failure"] for event in events if event["Type"] == "page_refreshed"] == [None]
    assert "hunter2" not in str(events)
