"""What a user is told when a page cannot be recorded."""

from pathlib import Path

import pytest

from tests.e2e.panoreel import Panoreel
from tests.servers.ports import free_ports


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://no-such-host.invalid/", "no-such-host.invalid"),
        ("http://127.0.0.1:{closed}/x?token=hunter2", "refused"),
        ("{site}/missing.html?token=hunter2", "404"),
        ("{site}/download?token=hunter2", "download"),
    ],
)
def test_the_sentence_says_which(
    panoreel: Panoreel, site: str, tmp_path: Path, url: str, sentence: str
) -> None:
    out = tmp_path / "none.mp4"
    url = url.format(site=site, closed=free_ports(1)[0])
    recorded = panoreel.record(url, out, "--seconds", "5")
    assert recorded.exit_code == 1
    assert recorded.answer["status"] == "finished"
    assert recorded.answer["file"] is None
    error = recorded.answer["error"]
    assert error["code"] == "InternalErr"
    assert sentence in error["message"]
    assert error["message"] in recorded.stderr
    assert not out.exists()
    assert "recording_failed" in recorded.events
    described = panoreel.act("Describe", TaskID=recorded.answer["task_id"])
    assert described["Result"]["ErrorMessage"] == error["message"]
    logs = "".join(log.read_text() for log in (panoreel.data / "logs").glob("*.log"))
    assert "hunter2" not in logs + str(recorded.answer) + recorded.stderr
