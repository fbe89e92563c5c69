"""What a blob store can do, whether it is a directory or a bucket."""

from pathlib import Path
from typing import Protocol


class Blobs(Protocol):
    """Files under keys. All functions block; keys and prefixes raise `InvalidKey` when malformed."""

    def check(self) -> str:
        """Make sure that the store can be used; its identity, the same for all who share the store.

        Raises:
            BlobsUnavailable: it cannot, and why.
        """

    def put(self, source: Path, key: str) -> None:
        """Store a copy of `source`, durable and complete once this returns, replacing what was there."""

    def get(self, key: str) -> Path:
        """A local file with the blob's content, to be read only; it lasts as long as the blob.

        Raises:
            BlobNotFound: there is none.
        """

    def size(self, key: str) -> int:
        """The blob's length in bytes.

        Raises:
            BlobNotFound: there is none.
        """

    def exists(self, key: str) -> bool:
        """Whether there is such a blob."""

    def delete(self, key: str) -> None:
        """Remove one blob; without error when there is none."""

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with `prefix`, which ends in a slash."""
