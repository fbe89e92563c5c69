"""What a blob store can do, whether it is a directory or a bucket."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Blobs(Protocol):
    """Files under keys, in a store that `str` describes.

    All functions block. Keys and prefixes raise `InvalidKey` when malformed; `OSError` tells of a store that
    fails, or that is away.
    """

    def check(self) -> frozenset[str]:
        """Make sure that the store can be used; its names, at least one, which no other store has.

        A store keeps its names, and whoever shares it sees all that were given before.

        Raises:
            BlobsUnavailable: it cannot, and why.
        """

    def put(self, source: Path, key: str) -> None:
        """Store a copy of `source`, durable and complete once this returns, replacing what was there."""

    def put_bytes(self, content: bytes, key: str) -> None:
        """As `put`, from memory."""

    def read(self, key: str) -> bytes:
        """The blob's content.

        Raises:
            BlobNotFound: there is none.
        """

    def fetch(self, key: str) -> AbstractContextManager[Path]:
        """A local file with the blob's content, to be read only, for as long as the context lasts.

        Raises:
            BlobNotFound: there is none.
        """

    def scratch(self) -> AbstractContextManager[Path]:
        """A local file to make a blob in, with room for a large one; it ends with context or process."""

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with `prefix`, which ends in a slash."""
