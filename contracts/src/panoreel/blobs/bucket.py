"""A blob store in a bucket, for services that share no file system."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from botocore.response import StreamingBody

from panoreel.blobs import s3
from panoreel.blobs.errors import BlobNotFound, BlobsUnavailable, StoreRefused, StoreUnavailable
from panoreel.blobs.keys import check_key, check_prefix
from panoreel.blobs.places import ObjectPlace, StoreAccess
from panoreel.blobs.refusals import explained
from panoreel.blobs.scratch import nameless_file

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

MAX_RETRIES: Final = 2
"""Few, since whoever uses a blob store comes again by itself."""

_NAMES: Final = ".panoreel-blobs/"
_PROBE: Final = ".panoreel-probe"


class BucketBlobs:
    """Blobs as objects whose keys begin with `prefix`. `StoreError` tells of a store that fails."""

    def __init__(self, access: StoreAccess, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._client = s3.connect(access, MAX_RETRIES)

    def __str__(self) -> str:
        return f"the bucket {self._bucket} below {self._prefix}"

    def check(self) -> frozenset[str]:
        """Make sure that the bucket can be written and read; its names.

        COS does not document conditional requests to store. So services that find a new bucket at the same
        time may each name it, and whoever comes later sees all of the names.

        Raises:
            BlobsUnavailable: it cannot, and why.
            StoreUnavailable: that is not known, since the store does not answer.
        """
        try:
            with explained():
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + _PROBE, Body=b"")
                return self._names() or self._named()
        except StoreRefused as error:
            raise BlobsUnavailable(f"{self} is not usable: {error}") from error

    def put(self, source: Path, key: str) -> None:
        """Store a copy of `source` and have the store confirm it, replacing what was there."""
        place = ObjectPlace(self._bucket, self._key(key))
        s3.send(self._client, place, source, s3.digest_of(source), threading.Event())

    def put_bytes(self, content: bytes, key: str) -> None:
        """As `put`, from memory."""
        s3.send_bytes(self._client, ObjectPlace(self._bucket, self._key(key)), content)

    def read(self, key: str) -> bytes:
        """The blob's content.

        Raises:
            BlobNotFound: there is none.
        """
        with explained():
            return self._content(self._key(key))

    @contextmanager
    def fetch(self, key: str) -> Iterator[Path]:
        """A copy of the blob.

        Raises:
            BlobNotFound: there is none.
        """
        with nameless_file() as copy:
            with explained(), self._opened(self._key(key)) as content, copy.open("wb") as file:
                shutil.copyfileobj(content, file, length=1 << 20)
            yield copy

    def scratch(self) -> AbstractContextManager[Path]:
        """A file to make a blob in, where `TMPDIR` says."""
        return nameless_file()

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with `prefix`, which ends in a slash."""
        listing = self._client.get_paginator("list_objects_v2")
        with explained():
            for page in listing.paginate(Bucket=self._bucket, Prefix=self._prefix + check_prefix(prefix)):
                self._delete([{"Key": found["Key"]} for found in page.get("Contents", [])])

    def _delete(self, objects: "list[ObjectIdentifierTypeDef]") -> None:
        """Remove what one page of a listing names, which is not more than one request takes."""
        if objects:
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
            )
            for error in answer.get("Errors", []):
                raise StoreUnavailable(f"{error.get('Code')}: {error.get('Key')} cannot be removed")

    def _names(self) -> frozenset[str]:
        prefix = self._prefix + _NAMES
        found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return frozenset(name["Key"].removeprefix(prefix) for name in found.get("Contents", []))

    def _named(self) -> frozenset[str]:
        self._client.put_object(Bucket=self._bucket, Key=self._prefix + _NAMES + uuid4().hex, Body=b"")
        return self._names()

    def _content(self, key: str) -> bytes:
        with self._opened(key) as content:
            return content.read()

    @contextmanager
    def _opened(self, key: str) -> Iterator[StreamingBody]:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            raise BlobNotFound(f"there is no blob {key.removeprefix(self._prefix)}") from None
        with closing(answer["Body"]) as content:
            yield content

    def _key(self, key: str) -> str:
        return self._prefix + check_key(key)
