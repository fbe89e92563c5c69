"""Objects in S3 and in stores that speak its language. Everything here blocks: call it in a thread.

Tencent Cloud COS decides the client's settings: it refuses path-style addresses (document 436/96243) and
bodies in `aws-chunked` encoding, in which boto3 would send checksums of its own.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as StoreConnectionError

from panoreel.uploader import multipart
from panoreel.uploader.errors import StoreRefused, StoreUnavailable
from panoreel.uploader.integrity import Digest
from panoreel.uploader.names import Place
from panoreel.uploader.settings import UploaderSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 60

_PASSING: Final = frozenset(
    {"BadDigest", "NoSuchUpload", "OperationAborted", "RequestTimeout", "RequestTimeTooSkewed", "SlowDown"}
)
"""Refusals (HTTP 4xx) that need not come again."""

_logger = structlog.get_logger()


@contextmanager
def connected(settings: UploaderSettings, place: Place) -> Iterator["S3Client"]:
    """A client for the store that `place` belongs to, for as long as the context lasts."""
    session = boto3.session.Session(
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
    )
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.s3_addressing_style, "payload_signing_enabled": True},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=multipart.PARALLEL_PARTS,
    )
    client = session.client("s3", endpoint_url=place.endpoint, region_name=place.region, config=config)
    with closing(client):
        yield client


def store(client: "S3Client", place: Place, file: Path, sha256: str, cancelled: threading.Event) -> None:
    """Make sure that `place` holds `file`, whose SHA-256 is `sha256`, and that the store confirms it.

    What is there already is not sent again. Nothing but the whole object is ever visible.

    Raises:
        StoreRefused: the store, or the file itself, makes it impossible.
        StoreUnavailable: the store does not work now.
        UploadCancelled: `cancelled` was set meanwhile.
    """
    with file.open("rb") as content:
        if file_digest(content, "sha256").hexdigest() != sha256:
            raise StoreRefused("the packaged file is damaged: its SHA-256 is not the one it was sealed with")
    size = file.stat().st_size
    with _explained():
        if _is_stored(client, place, size, sha256):
            _logger.info("already stored", bucket=place.bucket, key=place.key)
            return
        if size < multipart.MIN_PART_BYTES:
            etag = _put(client, place, file.read_bytes(), sha256)
        else:
            etag = multipart.upload(client, place, file, {"sha256": sha256}, cancelled)
        found = client.head_object(Bucket=place.bucket, Key=place.key)
    if found["ETag"] != etag or not _matches(found, size, sha256):
        raise StoreUnavailable("the store shows another object than the one that was sent")


def _put(client: "S3Client", place: Place, content: bytes, sha256: str) -> str:
    digest = Digest(content)
    answer = client.put_object(
        Bucket=place.bucket,
        Key=place.key,
        Body=content,
        ContentMD5=digest.header,
        ContentType=multipart.CONTENT_TYPE,
        Metadata={"sha256": sha256},
    )
    return digest.confirmed_by(answer)


def _is_stored(client: "S3Client", place: Place, size: int, sha256: str) -> bool:
    try:
        return _matches(client.head_object(Bucket=place.bucket, Key=place.key), size, sha256)
    except ClientError as error:
        # An answer to HEAD has no body that would say why: if this is a refusal, the upload hears the reason.
        if _http_status(error) < 500:
            return False
        raise


def _matches(found: "HeadObjectOutputTypeDef", size: int, sha256: str) -> bool:
    return found["ContentLength"] == size and found["Metadata"].get("sha256") == sha256


@contextmanager
def _explained() -> Iterator[None]:
    """Turn boto3's errors into ours, by whether it makes sense to ask again."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        sentence = f"{code}: {error.response['Error'].get('Message', '')}"
        if _http_status(error) >= 500 or _http_status(error) == 429 or code in _PASSING:
            raise StoreUnavailable(sentence) from error
        raise StoreRefused(sentence) from error
    except (StoreConnectionError, HTTPClientError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: the object store does not answer") from error
    except BotoCoreError as error:
        raise StoreRefused(f"{type(error).__name__}: {error}") from error


def _http_status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
