"""A blob store in a directory that recorder, transcoder and uploader share."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from panoreel.blobs.errors import BlobNotFound, BlobsUnavailable
from panoreel.blobs.keys import check_key, check_prefix
from panoreel.blobs.scratch import nameless_file

_IDENTITY: Final = ".panoreel-blobs"


class DirectoryBlobs:
    """Blobs as files below `root`. `OSError` tells of a full or failing file system."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return f"the blob directory {self._root}"

    def check(self) -> frozenset[str]:
        """Make sure that the directory is there and writable; its only name.

        Raises:
            BlobsUnavailable: it is not, and why.
        """
        if not self._root.is_dir():
            raise BlobsUnavailable(f"{self} does not exist or is not a directory")
        identity = self._root / _IDENTITY
        candidate = _partial(identity)
        try:
            candidate.write_text(uuid4().hex)
            try:
                # A link, unlike a file that is written in place, is never seen empty by another service.
                identity.hardlink_to(candidate)
            except FileExistsError:
                pass
            finally:
                candidate.unlink()
            return frozenset({identity.read_text()})
        except OSError as error:
            reason = error.strerror or str(error)
            raise BlobsUnavailable(f"{self} is not usable: {reason}") from error

    def put(self, source: Path, key: str) -> None:
        """Store a copy of `source`, durable and complete once this returns, replacing what was there."""
        with source.open("rb") as content:
            self._write(content, key)

    def put_bytes(self, content: bytes, key: str) -> None:
        """As `put`, from memory."""
        self._write(BytesIO(content), key)

    def read(self, key: str) -> bytes:
        """The blob's content.

        Raises:
            BlobNotFound: there is none.
        """
        with self.fetch(key) as file:
            return file.read_bytes()

    @contextmanager
    def fetch(self, key: str) -> Iterator[Path]:
        """The blob's own file, to be read only.

        Raises:
            BlobNotFound: there is none.
        """
        path = self._path(key)
        if not path.is_file():
            raise BlobNotFound(f"there is no blob {key}")
        yield path

    def scratch(self) -> AbstractContextManager[Path]:
        """A file to make a blob in, where blobs have room."""
        return nameless_file(self._root)

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with `prefix`, which ends in a slash."""
        # Nothing may be there, or somebody else is removing it at the same time and comes to its end.
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / check_prefix(prefix))

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(self, content: BinaryIO, key: str) -> None:
        """The partial copy lies beside its target: whatever a crash leaves goes with the task's blobs."""
        target = self._path(key)
        self._make_directory(target.parent)
        partial = _partial(target)
        try:
            with partial.open("xb") as writer:
                shutil.copyfileobj(content, writer, length=1 << 20)
                writer.flush()
                os.fsync(writer.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        _sync_directory(target.parent)

    def _make_directory(self, directory: Path) -> None:
        """Create `directory` durably: a synced file in a directory entry that is lost would be lost too."""
        missing = [level for level in (directory, *directory.parents) if not level.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        for level in missing:
            _sync_directory(level.parent)


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid4().hex}.partial")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
