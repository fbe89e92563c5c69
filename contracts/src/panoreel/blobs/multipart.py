"""An object in several parts, which may be sent in any order (S3 user guide, "Multipart upload").

All functions block, and raise `StoreRefused`, `StoreUnavailable`, or its `UploadForgotten`.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from panoreel.blobs.errors import StoreError, UploadCancelled
from panoreel.blobs.integrity import Digest
from panoreel.blobs.places import ObjectPlace
from panoreel.blobs.refusals import explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIN_PART_BYTES: Final = 8 << 20
MAX_PARTS: Final = 10_000
PARALLEL_PARTS: Final = 4
"""Also what bounds memory: this many parts are held at once."""

_logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload that was begun, whoever began it."""

    client: "S3Client"
    place: ObjectPlace
    upload_id: str

    def send(self, number: int, content: bytes) -> str:
        """Send part `number` (from 1 on), again if need be; its ETag. The store checks it by its MD5.

        Raises:
            StoreUnavailable: also when the store has other bytes than were sent.
        """
        digest = Digest(content)
        with explained():
            answer = self.client.upload_part(
                Bucket=self.place.bucket,
                Key=self.place.key,
                UploadId=self.upload_id,
                PartNumber=number,
                Body=content,
                ContentMD5=digest.header,
            )
        return digest.confirmed_by(answer)

    def complete(self, etags: Mapping[int, str]) -> str:
        """Make the object from these parts, in the order of their numbers; its ETag."""
        with explained():
            answer = self.client.complete_multipart_upload(
                Bucket=self.place.bucket,
                Key=self.place.key,
                UploadId=self.upload_id,
                MultipartUpload={
                    "Parts": [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
                },
            )
        return answer["ETag"]

    def abort(self) -> None:
        """Remove its parts, for which stores send bills, as far as that is possible now."""
        try:
            with explained():
                self.client.abort_multipart_upload(
                    Bucket=self.place.bucket, Key=self.place.key, UploadId=self.upload_id
                )
        except StoreError as error:
            _logger.warning(
                "unfinished upload stays", bucket=self.place.bucket, key=self.place.key, error=str(error)
            )


def begin(client: "S3Client", place: ObjectPlace, metadata: Mapping[str, str]) -> MultipartUpload:
    """Begin an upload whose object will have this metadata."""
    with explained():
        created = client.create_multipart_upload(
            Bucket=place.bucket, Key=place.key, ContentType=place.content_type, Metadata=metadata
        )
    return MultipartUpload(client, place, created["UploadId"])


def abort_unfinished(client: "S3Client", place: ObjectPlace, begun_before: datetime | None = None) -> None:
    """Remove what uploads of this key left behind whose process was killed; those begun before then (UTC)."""
    before = begun_before or datetime.max.replace(tzinfo=UTC)
    try:
        with explained():
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=place.bucket, Prefix=place.key
            )
            found = [upload for page in pages for upload in page.get("Uploads", [])]
    except StoreError as error:
        # A right of its own, which not every account that may write has.
        _logger.warning("cannot look for unfinished uploads", error=str(error))
        return
    for upload in found:
        if upload["Key"] == place.key and upload["Initiated"] < before:
            _logger.info("removing an unfinished upload", bucket=place.bucket, key=place.key)
            MultipartUpload(client, place, upload["UploadId"]).abort()


def part_bytes(size: int) -> int:
    """The length of all parts but the last: in whole MiB, and long enough for `MAX_PARTS` to suffice."""
    return max(MIN_PART_BYTES, -(-size // (MAX_PARTS << 20)) << 20)


def send_file(
    client: "S3Client",
    place: ObjectPlace,
    file: Path,
    metadata: Mapping[str, str],
    cancelled: threading.Event,
) -> str:
    """Send a large file, a few parts at a time; the ETag of the complete object.

    Whatever goes wrong, the parts do not stay behind.

    Raises:
        UploadCancelled: `cancelled` was set meanwhile.
    """
    abort_unfinished(client, place)
    size = file.stat().st_size
    length = part_bytes(size)
    upload = begin(client, place, metadata)

    def send(number: int) -> str:
        if cancelled.is_set():
            raise UploadCancelled(UploadCancelled.__doc__)
        with file.open("rb") as content:
            content.seek((number - 1) * length)
            return upload.send(number, content.read(length))

    numbers = range(1, -(-size // length) + 1)
    try:
        with ThreadPoolExecutor(PARALLEL_PARTS, "part") as pool:
            etag = upload.complete(dict(zip(numbers, pool.map(send, numbers), strict=True)))
    except BaseException:
        upload.abort()
        raise
    abort_unfinished(client, place)  # begun by a request whose answer was lost
    return etag
