"""The `panoreel` command: what it refuses, what it says, what it leaves behind."""

import json
import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from panoreel.local import prerequisites
from panoreel.local.errors import MissingPrerequisites


def panoreel(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "panoreel.local", *arguments], capture_output=True, text=True, timeout=60
    )


def test_help_comes_at_once() -> None:
    before_s = ended_children_s()
    answer = panoreel("--help")
    assert answer.returncode == 0
    assert ended_children_s() - before_s < 1.5, "of a processor, however many share it"


def ended_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_taken_port_is_named_with_the_option_that_helps(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = panoreel("up", "--data-dir", str(tmp_path), "--port", str(port))
    assert answer.returncode == 1
    assert f"port {port}" in answer.stderr
    assert "--port" in answer.stderr
    assert not (tmp_path / "endpoints.json").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seconds", "0"),
        ("--width", "9999"),
        ("--height", "-1"),
        ("--out", "/no/such/directory/x.mp4"),
        ("--out", "x.m3u8"),
        ("--server", "localhost:1"),
        ("--server", "http://[::1"),
    ],
)
def test_a_value_without_sense_is_refused_by_the_name_of_its_option(option: str, value: str) -> None:
    answer = panoreel("record", option, value)
    assert answer.returncode == 2
    assert option in re.sub(r"\x1b\[[0-9;]*m", "", answer.stderr)


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    """A root's replacing of a device such as /dev/null would be felt by everybody."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for out in (fifo, tmp_path / f"{'x' * 300}.mp4"):
        answer = panoreel("record", "http://127.0.0.1/", "--server", "http://127.0.0.1:1", "--out", str(out))
        assert answer.returncode == 2
        assert "--out" in re.sub(r"\x1b\[[0-9;]*m", "", answer.stderr)
    assert list(tmp_path.iterdir()) == [fifo]


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for command in (["up"], ["record", "http://127.0.0.1/", "--out", str(tmp_path / "x.mp4")]):
        answer = panoreel(*command, "--data-dir", str(file / "data"))
        assert answer.returncode == 1
        assert f"{file / 'data'} cannot be a data directory" in answer.stderr
        assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com/", "http://"])
def test_what_is_no_url_is_refused_before_anything_is_started(url: str) -> None:
    answer = panoreel("record", url)
    assert answer.returncode == 2
    assert "absolute http or https URL" in " ".join(answer.stderr.replace("│", " ").split())


def test_an_unreachable_server_is_an_error_in_json_too() -> None:
    answer = panoreel("record", "http://127.0.0.1/", "--server", "http://127.0.0.1:1", "--json")
    assert answer.returncode == 1
    result = json.loads(answer.stdout)
    assert result["file"] is None
    assert result["error"]["code"] == "Unreachable"
    assert result["error"]["message"] in answer.stderr


def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prerequisites.check()
    monkeypatch.setitem(prerequisites.PACKAGES, "chromium", lambda: False)
    monkeypatch.setitem(prerequisites.PACKAGES, "fonts-noto-cjk", lambda: False)
    with pytest.raises(
        MissingPrerequisites, match=r"install --no-install-recommends chromium fonts-noto-cjk$"
    ):
        prerequisites.check()
