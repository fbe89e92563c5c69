"""The directory as a blob store: durable, whole or absent, and closed against keys that climb out."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "blobs"
    directory.mkdir()
    return directory


@pytest.fixture
def blobs(root: Path) -> DirectoryBlobs:
    return DirectoryBlobs(root)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.mp4"
    file.write_bytes(os.urandom(3_000_001))
    return file


def test_put_get_size_exists_delete(blobs: DirectoryBlobs, source: Path) -> None:
    key = segment_key("task-1", 1, 0)
    assert not blobs.exists(key)
    blobs.put(source, key)
    assert blobs.get(key).read_bytes() == source.read_bytes()
    assert blobs.size(key) == 3_000_001
    assert blobs.exists(key)
    assert source.exists()
    blobs.delete(key)
    blobs.delete(key)
    assert not blobs.exists(key)
    for missing in (blobs.get, blobs.size):
        with pytest.raises(BlobNotFound, match=key):
            missing(key)


def test_a_second_put_replaces_the_first(blobs: DirectoryBlobs, source: Path) -> None:
    key = output_key("task-1", "video.mp4")
    blobs.put(source, key)
    source.write_bytes(b"new")
    blobs.put(source, key)
    assert blobs.get(key).read_bytes() == b"new"


def test_readers_never_see_a_part(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    key = output_key("task-1", "video.mp4")
    sources = [tmp_path / "zeros", tmp_path / "ones"]
    for number, file in enumerate(sources):
        file.write_bytes(bytes([number]) * 4_000_000)
    blobs.put(sources[0], key)
    writer = threading.Thread(target=lambda: [blobs.put(sources[i % 2], key) for i in range(20)])
    writer.start()
    seen = set()
    while writer.is_alive():
        content = blobs.get(key).read_bytes()
        assert content in (bytes(4_000_000), b"\1" * 4_000_000)
        seen.add(content[0])
    writer.join()
    assert seen


def test_a_failed_put_leaves_nothing(blobs: DirectoryBlobs, root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.put(tmp_path / "absent", output_key("task-1", "video.mp4"))
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_delete_prefix_takes_one_task_with_its_partial_files(
    blobs: DirectoryBlobs, root: Path, source: Path
) -> None:
    for task_id in ("task-1", "task-10"):
        blobs.put(source, segment_key(task_id, 1, 0))
        blobs.put(source, segment_key(task_id, 2, 0))
    (root / "segments/task-1/1/.1.mp4.0.partial").write_bytes(b"left by a crash")
    blobs.delete_prefix(segments_prefix("task-1"))
    blobs.delete_prefix(segments_prefix("task-1"))
    assert not (root / "segments/task-1").exists()
    assert blobs.exists(segment_key("task-10", 2, 0))
    blobs.delete_prefix(outputs_prefix("task-1"))


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "a/", "./a", "a/.hidden", "a\0b", "a b", "a\n"],
)
def test_malformed_keys_are_refused(blobs: DirectoryBlobs, source: Path, key: str) -> None:
    for use in (blobs.get, blobs.size, blobs.exists, blobs.delete):
        with pytest.raises(InvalidKey):
            use(key)
    with pytest.raises(InvalidKey):
        blobs.put(source, key)


@pytest.mark.parametrize("prefix", ["", "/", "segments", "../", "segments/../", "segments//", "/segments/"])
def test_malformed_prefixes_are_refused(blobs: DirectoryBlobs, prefix: str) -> None:
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


def test_all_who_share_a_store_see_one_identity(root: Path, tmp_path: Path) -> None:
    identities: list[str] = []
    threads = [
        threading.Thread(target=lambda: identities.append(DirectoryBlobs(root).check())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(identities) == 8
    assert len(set(identities)) == 1
    assert len(list(root.iterdir())) == 1
    other = tmp_path / "other"
    other.mkdir()
    assert DirectoryBlobs(other).check() != identities[0]


def test_an_absent_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlobsUnavailable, match=r"absent does not exist"):
        DirectoryBlobs(tmp_path / "absent").check()


def test_an_unwritable_store_is_named() -> None:
    # Not even root may write here.
    with pytest.raises(BlobsUnavailable, match="/proc/self is not usable"):
        DirectoryBlobs(Path("/proc/self")).check()
