"""The key file: what it may hold, and that a running server follows it."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from panoreel.dispatch.authentication.errors import KeyFileError
from panoreel.dispatch.authentication.keyfile import CHECK_INTERVAL_S, KeyFile
from panoreel.dispatch.authentication.keys import parse_keys

ENTRY: dict[str, Any] = {"id": "APID1", "secrets": ["hunter2", "hunter1"], "application": "school-1"}


def text(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": entries}).encode()


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.chmod(mode)
    draft.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    write(file, text(ENTRY))
    return file


def test_what_an_entry_may_leave_out() -> None:
    key = parse_keys(text(ENTRY)).find("APID1")
    assert key is not None
    assert (key.application, key.kind, key.admin, key.enabled) == ("school-1", "application", False, True)
    assert [secret.get_secret_value() for secret in key.secrets] == ["hunter2", "hunter1"]
    assert key.may_call("/anything")


def test_secrets_are_not_shown() -> None:
    keys = parse_keys(text(ENTRY))
    for shown in (repr(keys), str(keys), repr(keys.find("APID1")), keys.model_dump_json()):
        assert "APID1" in shown
        assert "hunter" not in shown


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Invalid JSON"),
        (b'{"keys": [{"id": "a", "secrets": ["hunter2"', "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"{}", "keys: Field required"),
        (text(ENTRY, {"id": "b", "application": "x"}), "keys[1].secrets: Field required"),
        (text(ENTRY | {"secrets": []}), "keys[0].secrets: "),
        (text(ENTRY | {"secrets": ["hunter1", "hunter2", "hunter3"]}), "keys[0].secrets: "),
        (text(ENTRY | {"secrets": ["hunter2", ""]}), "keys[0].secrets[1]: "),
        (text(ENTRY | {"secrets": "hunter2"}), "keys[0].secrets: "),
        (text(ENTRY | {"id": 'a"b'}), "keys[0].id: "),
        (text(ENTRY | {"application": ""}), "keys[0].application: "),
        (
            text(ENTRY | {"application": "a\0"}),
            "keys[0].application: must not contain control characters",
        ),
        (text(ENTRY | {"admin": "false"}), "keys[0].admin: "),
        (text(ENTRY | {"enabled": 0}), "keys[0].enabled: "),
        (text(ENTRY | {"kind": "apikey"}), "keys[0].kind: "),
        (text(ENTRY | {"secret": "hunter2"}), "keys[0].secret: "),
        (text(ENTRY, ENTRY | {"kind": "key_pair"}), "keys: more than one entry has the id APID1"),
    ],
)
def test_a_wrong_entry_is_named(content: bytes, problem: str, path: Path) -> None:
    write(path, content)
    with pytest.raises(KeyFileError) as caught:
        KeyFile(path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "hunter" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"none\.json: No such file"):
        KeyFile(tmp_path / "none.json")


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_a_file_open_to_others_is_warned_about(path: Path, mode: int, warnings: int) -> None:
    path.chmod(mode)
    with structlog.testing.capture_logs() as logs:
        KeyFile(path)
    assert [entry["log_level"] for entry in logs] == ["warning"] * warnings
    assert all(entry["mode"] == f"{mode:04o}" for entry in logs)


async def test_a_change_is_followed_within_a_second(path: Path) -> None:
    file = KeyFile(path)
    first = await file.keys()
    write(path, text(ENTRY, ENTRY | {"id": "APID2"}))
    assert await file.keys() is first, "not looked at again so soon"
    await asyncio.sleep(CHECK_INTERVAL_S)
    assert (await file.keys()).find("APID2") is not None


async def test_a_change_in_place_that_keeps_size_and_mtime(path: Path) -> None:
    file = KeyFile(path)
    before = path.stat()
    path.write_bytes(text(ENTRY | {"id": "APID9"}))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    await asyncio.sleep(CHECK_INTERVAL_S)
    assert (await file.keys()).find("APID9") is not None


async def test_a_broken_version_is_told_once_and_the_old_one_goes_on(path: Path) -> None:
    file = KeyFile(path)
    with structlog.testing.capture_logs() as logs:
        for broken in (text(ENTRY | {"secrets": ["hunter3", ""]}), None):
            if broken:
                write(path, broken)
            else:
                path.unlink()
            for _ in range(2):
                await asyncio.sleep(CHECK_INTERVAL_S)
                assert (await file.keys()).find("APID1") is not None
    assert [entry["log_level"] for entry in logs] == ["error", "error"]
    assert "keys[0].secrets[1]" in logs[0]["problem"]
    assert "No such file" in logs[1]["problem"]
    assert "hunter" not in str(logs)
    write(path, text())
    await asyncio.sleep(CHECK_INTERVAL_S)
    assert (await file.keys()).find("APID1") is None
