"""Directory and bucket as blob stores: durable, whole or absent, and closed against keys that climb out."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoreel.blobs.bucket import BucketBlobs
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.errors import BlobNotFound, BlobsUnavailable, InvalidKey
from panoreel.blobs.keys import (
    check_key,
    check_prefix,
    output_key,
    outputs_prefix,
    segment_key,
    segments_prefix,
)
from panoreel.blobs.store import Blobs
from tests.servers.seaweed import Seaweed

LARGE = 9_000_001
"""A bucket gets this in parts."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "blobs"
    directory.mkdir()
    return directory


@pytest.fixture(params=["directory", "bucket"])
def open_blobs(request: pytest.FixtureRequest, root: Path) -> Callable[[], Blobs]:
    """Opens one and the same store as often as it is called, as several services do."""
    if request.param == "directory":
        return lambda: DirectoryBlobs(root)
    store: Seaweed = request.getfixturevalue("seaweed")
    prefix = f"{uuid4().hex}/"
    return lambda: BucketBlobs(store.access, store.bucket, prefix)


@pytest.fixture
def blobs(open_blobs: Callable[[], Blobs]) -> Blobs:
    return open_blobs()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.mp4"
    file.write_bytes(os.urandom(LARGE))
    return file


def missing(blobs: Blobs, key: str) -> bool:
    with pytest.raises(BlobNotFound, match=key):
        blobs.read(key)
    with pytest.raises(BlobNotFound, match=key), blobs.fetch(key):
        pass
    return True


def test_what_is_put_is_found(blobs: Blobs, source: Path) -> None:
    key = segment_key("task-1", 1, 0)
    assert missing(blobs, key)
    blobs.put(source, key)
    assert blobs.read(key) == source.read_bytes()
    with blobs.fetch(key) as file, blobs.fetch(key) as again:
        assert file.stat().st_size == LARGE
        assert file.read_bytes() == again.read_bytes() == source.read_bytes()


def test_what_is_put_from_memory_is_found(blobs: Blobs) -> None:
    key = output_key("task-1", "hls/0")
    for content in (b"first", b"second"):
        blobs.put_bytes(content, key)
        assert blobs.read(key) == content


def test_a_second_put_replaces_the_first(blobs: Blobs, source: Path) -> None:
    key = output_key("task-1", "video.mp4")
    blobs.put(source, key)
    source.write_bytes(b"new")
    blobs.put(source, key)
    assert blobs.read(key) == b"new"


def test_readers_never_see_a_part(blobs: Blobs, tmp_path: Path) -> None:
    key = output_key("task-1", "video.mp4")
    sources = [tmp_path / "zeros", tmp_path / "ones"]
    for number, file in enumerate(sources):
        file.write_bytes(bytes([number]) * 4_000_000)
    blobs.put(sources[0], key)

    def write() -> None:
        for number in range(10):
            blobs.put(sources[number % 2], key)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while writer.is_alive():
        content = blobs.read(key)
        assert content in (bytes(4_000_000), b"\1" * 4_000_000)
        seen.add(content[0])
    writer.join()
    assert seen


def test_a_failed_put_leaves_nothing(blobs: Blobs, root: Path, tmp_path: Path) -> None:
    key = output_key("task-1", "video.mp4")
    with pytest.raises(FileNotFoundError):
        blobs.put(tmp_path / "absent", key)
    assert missing(blobs, key)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_a_blob_is_made_in_a_file_that_nobody_has_to_remove(
    blobs: Blobs, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    key = output_key("task-1", "video.mp4")
    with blobs.scratch() as file:
        file.write_bytes(b"made")
        assert list((tmp_path / "tmp").iterdir()) == list(root.iterdir()) == []
        blobs.put(file, key)
    assert blobs.read(key) == b"made"
    assert not file.exists()


def test_delete_prefix_takes_one_task(blobs: Blobs, source: Path) -> None:
    source.write_bytes(b"segment")
    for task_id in ("task-1", "task-10"):
        blobs.put(source, segment_key(task_id, 1, 0))
        blobs.put(source, segment_key(task_id, 2, 0))
    blobs.delete_prefix(segments_prefix("task-1"))
    blobs.delete_prefix(segments_prefix("task-1"))
    assert all(missing(blobs, segment_key("task-1", epoch, 0)) for epoch in (1, 2))
    assert blobs.read(segment_key("task-10", 2, 0)) == b"segment"
    blobs.delete_prefix(outputs_prefix("task-1"))


def test_delete_prefix_takes_what_a_crash_left_in_a_directory(root: Path, source: Path) -> None:
    blobs = DirectoryBlobs(root)
    blobs.put(source, segment_key("task-1", 1, 0))
    (root / "segments/task-1/1/.1.mp4.0.partial").write_bytes(b"left by a crash")
    blobs.delete_prefix(segments_prefix("task-1"))
    assert not (root / "segments/task-1").exists()


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", "a/.hidden", "a\0b", "a b", "a\n"],
)
def test_malformed_keys_are_refused(blobs: Blobs, source: Path, key: str) -> None:
    with pytest.raises(InvalidKey):
        blobs.read(key)
    with pytest.raises(InvalidKey), ExitStack() as stack:
        stack.enter_context(blobs.fetch(key))
    with pytest.raises(InvalidKey):
        blobs.put(source, key)


@pytest.mark.parametrize("prefix", ["", "/", "segments", "../", "segments/../", "segments//", "/segments/"])
def test_malformed_prefixes_are_refused(blobs: Blobs, prefix: str) -> None:
    with pytest.raises(InvalidKey):
        blobs.delete_prefix(prefix)


@given(st.text(alphabet="ab./\\\0~-", max_size=12))
def test_no_key_leaves_the_root(key: str) -> None:
    root = Path("/root/of/blobs")
    for check, candidate in ((check_key, key), (check_prefix, key + "/")):
        try:
            check(candidate)
        except InvalidKey:
            continue
        path = Path(os.path.normpath(root / candidate))
        assert path.is_relative_to(root)
        assert path != root


def test_all_who_share_a_store_know_it_by_name(open_blobs: Callable[[], Blobs], tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda blobs: blobs.check(), [open_blobs() for _ in range(8)]))
    assert all(names)
    assert frozenset.union(*names) == open_blobs().check()
    other = tmp_path / "other"
    other.mkdir()
    assert DirectoryBlobs(other).check().isdisjoint(open_blobs().check())


def test_an_absent_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlobsUnavailable, match=r"absent does not exist"):
        DirectoryBlobs(tmp_path / "absent").check()


def test_an_unwritable_store_is_named() -> None:
    # Not even root may write here.
    with pytest.raises(BlobsUnavailable, match="/proc/self is not usable"):
        DirectoryBlobs(Path("/proc/self")).check()
