"""The key that a data directory is given."""

import json
import stat
from pathlib import Path

import pytest

from panoreel.dispatch.authentication.keys import parse_keys
from panoreel.local.datadir import DataDirectory, Endpoints
from panoreel.local.errors import LocalError
from panoreel.local.keys import NO_KEY, key_file, shown_key


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.at(tmp_path)


def test_the_first_start_makes_a_key_that_dispatch_takes(directory: DataDirectory) -> None:
    made = shown_key(directory)
    file = key_file(directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [key] = parse_keys(file.read_bytes()).keys
    assert (key.id, key.application, key.admin) == (made.id, "default", True)
    assert [secret.get_secret_value() for secret in key.secrets] == [made.secret]
    written = file.read_bytes()
    assert shown_key(directory) == made
    assert file.read_bytes() == written


def test_an_edited_file_is_left_alone_and_its_first_usable_key_shown(directory: DataDirectory) -> None:
    keys = [
        {"id": "pair", "secrets": ["p"], "application": "a", "kind": "key_pair"},
        {"id": "off", "secrets": ["o"], "application": "a", "enabled": False},
        {"id": "on", "secrets": ["new", "old"], "application": "a"},
    ]
    file = key_file(directory)
    text = json.dumps({"keys": keys})
    file.write_text(text)
    assert (shown_key(directory).id, shown_key(directory).secret) == ("on", "new")
    assert file.read_text() == text
    file.write_text(json.dumps({"keys": keys[:2]}))
    assert shown_key(directory) == NO_KEY


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": [1]}', '{"keys": [{"id": "x"}]}'])
def test_a_broken_file_is_told(directory: DataDirectory, text: str) -> None:
    key_file(directory).write_text(text)
    with pytest.raises(LocalError, match=r"keys\.json is no key file .*; mend it, or move it away"):
        shown_key(directory)


def test_a_file_of_endpoints_without_a_key_is_read() -> None:
    """As a stack of an older version has written it."""
    others = dict.fromkeys(
        ("api", "nats", "postgres", "s3", "s3_access_key", "s3_secret_key", "s3_bucket", "s3_region"), "x"
    )
    assert Endpoints(**others, pid=1).app_key == ""
