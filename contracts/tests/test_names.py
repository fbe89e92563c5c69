"""How a caller may name the place of a result."""

from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoreel.contracts.events import OutputRequest
from panoreel.contracts.names import MAX_KEY_BYTES, check, owner, result_key

CREATED = datetime(2021, 5, 14, 8, 50, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("target_dir", "target_name", "key"),
    [
        (None, None, "task-1/1620982203000.mp4"),
        ("", "", "task-1/1620982203000.mp4"),
        ("/", "  ", "task-1/1620982203000.mp4"),
        ("11234/", "x.mp4", "11234/x.mp4"),
        ("11234/", "record-file-name.mp4", "11234/record-file-name.mp4"),
        ("/a//b/", "x", "a/b/x.mp4"),
        ("a", "x.MP4", "a/x.mp4"),
        ("a", "x.mp4.mp4", "a/x.mp4.mp4"),
        ("a", "x.m3u8", "a/x.m3u8.mp4"),
        ("a", ".mp4", "a/.mp4.mp4"),
        ("a", "b/x", "a/b/x.mp4"),
        ("录制", "a b%20*", "录制/a b%20*.mp4"),
        ("...", "..x", ".../..x.mp4"),
    ],
)
def test_key(target_dir: str | None, target_name: str | None, key: str) -> None:
    output = OutputRequest(target_dir=target_dir, target_name=target_name)
    assert result_key(output, "mp4", "task-1", CREATED) == key


@pytest.mark.parametrize(
    ("target_dir", "target_name", "key"),
    [
        (None, None, "task-1/playlist.m3u8"),
        ("a", None, "a/1620982203000.m3u8"),
        ("a", "x", "a/x.m3u8"),
        (None, "x.M3U8", "task-1/x.m3u8"),
        ("a", "x.mp4", "a/x.mp4.m3u8"),
    ],
)
def test_key_of_a_playlist(target_dir: str | None, target_name: str | None, key: str) -> None:
    output = OutputRequest(muxers=("hls",), target_dir=target_dir, target_name=target_name)
    assert result_key(output, "hls", "task-1", CREATED) == key


def test_both_share_a_name() -> None:
    output = OutputRequest(muxers=("mp4", "hls"), target_dir="a", target_name="x.mp4")
    assert result_key(output, "mp4", "task-1", CREATED) == "a/x.mp4"
    assert result_key(output, "hls", "task-1", CREATED) == "a/x.m3u8"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target_dir", "../x"),
        ("target_dir", "a/./b"),
        ("target_dir", "a\\b"),
        ("target_dir", "a\nb"),
        ("target_name", ".."),
        ("target_name", "x/../../y"),
        ("target_name", "\x18"),
        ("target_name", "\ud800"),
        ("target_name", "x" * 850),
        ("target_dir", "录" * 280),
        ("bucket", "With-Capitals"),
        ("bucket", "under_score"),
        ("bucket", "-a"),
        ("bucket", "a" * 64),
        ("region", "ap.shanghai"),
        ("region", "evil.example/"),
        ("domain", "host/path"),
        ("domain", "ftp://host"),
        ("domain", "user@host"),
        ("domain", "host?x"),
        ("domain", "a b"),
    ],
)
def test_a_refusal_names_the_field(field: str, value: str) -> None:
    name = "".join(part.capitalize() for part in field.split("_"))
    with pytest.raises(ValueError, match=name):
        check(OutputRequest(**{field: value}), "task-1")


@pytest.mark.parametrize(
    ("task_id", "request_", "refused"),
    [
        ("task-1", {"target_dir": "raw"}, True),
        ("task-1", {"target_dir": " //raw/segments/task-2/1", "target_name": "0"}, True),
        ("raw", {"target_name": "segments/task-2/1/0"}, True),
        ("raw", {"target_dir": "elsewhere"}, False),
        ("task-1", {"target_dir": "rawer"}, False),
        ("task-1", {"target_dir": "a/raw", "target_name": "raw"}, False),
    ],
)
def test_results_keep_off_the_media(task_id: str, request_: dict[str, str], refused: bool) -> None:
    with pytest.raises(ValueError, match="must not begin with raw/") if refused else nullcontext():
        check(OutputRequest(**request_), task_id)


def test_an_owner_is_told_from_others_but_not_named() -> None:
    assert owner("") == ""
    assert owner("school-a") != owner("school-b")
    assert "school" not in owner("school-a")


@pytest.mark.parametrize("domain", ["abc.xxx.com", "https://abc.xxx.com/", "http://abc.xxx.com:8080"])
def test_domains(domain: str) -> None:
    check(OutputRequest(domain=domain, bucket="webrecord-1234589", region="ap-chengdu"), "task-1")


@given(st.text(max_size=40), st.text(max_size=40))
def test_every_key_is_one_that_a_store_takes(target_dir: str, target_name: str) -> None:
    output = OutputRequest(target_dir=target_dir, target_name=target_name)
    try:
        key = result_key(output, "mp4", "task-1", CREATED)
    except ValueError:
        return
    parts = key.split("/")
    assert all(part not in ("", ".", "..") for part in parts)
    assert len(parts) >= 2
    assert key.endswith(".mp4")
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert not any(ord(character) < 0x20 or character == "\\" for character in key)


@given(st.lists(st.text(alphabet="abc.-_", min_size=1, max_size=5), min_size=1, max_size=3))
def test_slashes_and_extension_make_no_difference(parts: list[str]) -> None:
    plain = OutputRequest(target_dir="/".join(parts), target_name="x")
    decorated = OutputRequest(target_dir="//" + "//".join(parts) + "/", target_name="/x.mp4")
    try:
        key = result_key(plain, "mp4", "task-1", CREATED)
    except ValueError:
        with pytest.raises(ValueError):
            result_key(decorated, "mp4", "task-1", CREATED)
    else:
        assert result_key(decorated, "mp4", "task-1", CREATED) == key
