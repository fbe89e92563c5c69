"""One large file in several parts, a few of them at a time (S3 user guide, "Multipart upload")."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from panoreel.blobs.errors import UploadCancelled
from panoreel.blobs.integrity import Digest
from panoreel.blobs.places import ObjectPlace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CONTENT_TYPE: Final = "video/mp4"
MIN_PART_BYTES: Final = 8 << 20
MAX_PARTS: Final = 10_000
PARALLEL_PARTS: Final = 4
"""Also what bounds memory: this many parts are held at once."""

_logger = structlog.get_logger()


def part_bytes(size: int) -> int:
    """The length of all parts but the last: in whole MiB, and long enough for `MAX_PARTS` to suffice."""
    return max(MIN_PART_BYTES, -(-size // (MAX_PARTS << 20)) << 20)


def upload(
    client: "S3Client", place: ObjectPlace, file: Path, metadata: dict[str, str], cancelled: threading.Event
) -> str:
    """Send the file in parts that the store verifies by their MD5; the ETag of the complete object.

    Whatever goes wrong, the parts do not stay behind: stores bill for them.

    Raises:
        UploadCancelled: `cancelled` was set meanwhile.
        StoreUnavailable: the store has other bytes than were sent.
        ClientError, BotoCoreError: the store's own answer, or the lack of one.
    """
    _abort_leftovers(client, place)
    created = client.create_multipart_upload(
        Bucket=place.bucket, Key=place.key, ContentType=CONTENT_TYPE, Metadata=metadata
    )
    upload_id = created["UploadId"]
    try:
        parts = _send_parts(client, place, file, upload_id, cancelled)
        complete = client.complete_multipart_upload(
            Bucket=place.bucket, Key=place.key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
    except BaseException:
        _abort(client, place, upload_id)
        raise
    return complete["ETag"]


def _send_parts(
    client: "S3Client", place: ObjectPlace, file: Path, upload_id: str, cancelled: threading.Event
) -> "list[CompletedPartTypeDef]":
    size = file.stat().st_size
    length = part_bytes(size)

    def send(number: int) -> "CompletedPartTypeDef":
        if cancelled.is_set():
            raise UploadCancelled(UploadCancelled.__doc__)
        with file.open("rb") as content:
            content.seek((number - 1) * length)
            part = content.read(length)
        digest = Digest(part)
        answer = client.upload_part(
            Bucket=place.bucket,
            Key=place.key,
            UploadId=upload_id,
            PartNumber=number,
            Body=part,
            ContentMD5=digest.header,
        )
        return {"PartNumber": number, "ETag": digest.confirmed_by(answer)}

    with ThreadPoolExecutor(PARALLEL_PARTS, "part") as pool:
        return list(pool.map(send, range(1, -(-size // length) + 1)))


def _abort_leftovers(client: "S3Client", place: ObjectPlace) -> None:
    """Remove what an upload of this key left behind whose process was killed."""
    try:
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=place.bucket, Prefix=place.key)
        leftovers = [
            found for page in pages for found in page.get("Uploads", []) if found["Key"] == place.key
        ]
    except ClientError as error:
        # A right of its own, which not every account that may write has.
        _logger.warning("cannot look for unfinished uploads", error=str(error))
        return
    for found in leftovers:
        _logger.info("removing an unfinished upload", bucket=place.bucket, key=place.key)
        _abort(client, place, found["UploadId"])


def _abort(client: "S3Client", place: ObjectPlace, upload_id: str) -> None:
    try:
        client.abort_multipart_upload(Bucket=place.bucket, Key=place.key, UploadId=upload_id)
    except (ClientError, BotoCoreError) as error:
        _logger.warning("unfinished upload stays", bucket=place.bucket, key=place.key, error=str(error))
