"""A client in JavaScript, written from the vendor's description of its signatures, speaks to dispatch."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer

SCRIPT = Path(__file__).with_name("client.js")
KEY, SECRET = "APIDclassroom", "classroom-secret"


@pytest.fixture
def dispatch(module_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path) -> Iterator[Dispatch]:
    key_file = tmp_path / "keys.json"
    key_file.write_text(json.dumps({"keys": [{"id": KEY, "secrets": [SECRET], "application": "js"}]}))
    key_file.chmod(0o600)
    sealing_key = Fernet.generate_key().decode()
    running = run_dispatch(
        module_nats_server.url, postgres_dsn, tmp_path, sealing_key, PANOREEL_KEY_FILE=str(key_file)
    )
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0


def node(dispatch: Dispatch, secret: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What the client is answered to each of the requests."""
    done = subprocess.run(
        ["node", SCRIPT, dispatch.url, KEY],
        env=os.environ | {"SECRET": secret},
        input="".join(json.dumps(request) + "\n" for request in requests),
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_recording_is_started_described_and_stopped(dispatch: Dispatch) -> None:
    page = "http://127.0.0.1:1/课堂/?teacher=王老师&mood=🙂"
    data = {"RecordURL": page, "Width": 1280, "Output": {"Cos": {"TargetName": "第一课"}}}
    [started] = node(dispatch, SECRET, {"Action": "Start", "Data": data})
    assert started["status"] == 200
    task_id = started["body"]["TaskID"]
    described, stopped, after, history = node(
        dispatch,
        SECRET,
        {"Action": "Describe", "Data": {"TaskID": task_id}},
        {"Action": "Stop", "Data": {"TaskID": task_id}},
        {"Action": "Describe", "Data": {"TaskID": task_id}},
        {"path": f"/tasks/{task_id}/events"},
    )
    assert described["body"]["Status"] == "normal"
    assert stopped["body"]["TaskID"] == task_id
    assert after["body"]["Status"] == "transcode"
    [created, *_] = history["body"]["Events"]
    assert created["Data"]["record_url"] == "http://127.0.0.1:1/课堂/"
    assert created["Data"]["output"]["target_name"] == "第一课"


def test_a_wrong_secret_is_refused(dispatch: Dispatch) -> None:
    [answer] = node(dispatch, "of somebody else", {"Action": "Describe", "Data": {"TaskID": "课堂"}})
    assert answer == {"status": 401, "body": {"message": "HMAC signature does not match"}}
