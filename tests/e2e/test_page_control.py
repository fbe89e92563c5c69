"""What the page can do, and what can be done with the page, through the whole stack."""

from pathlib import Path

import httpx
import numpy as np

from tests.e2e import media
from tests.e2e.panoreel import Panoreel


def test_a_page_starts_pauses_resumes_and_stops_its_own_recording(
    panoreel: Panoreel, site: str, tmp_path: Path
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
    frames = list(media.frames(out))
    assert 3.5 < frames[-1].time_s < 5.5, "two seconds, and two more, without the pause"


def test_a_recording_switches_to_another_page_and_back(
    panoreel: Panoreel, site: str, tmp_path: Path
) -> None:
    task_id = panoreel.act("Start", RecordURL=f"{site}/still.html")["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    for url in (f"{site}/control.html?stays&token=hunter2", f"{site}/still.html"):
        assert "ErrorCode" not in panoreel.act("Refresh", TaskID=task_id, RecordURL=url)
    panoreel.act("Stop", TaskID=task_id)
    panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    types = [event["Type"] for event in panoreel.events(task_id)]
    assert types.count("refresh_requested") == 2
    assert np.all(["recording_failed" != name for name in types])
