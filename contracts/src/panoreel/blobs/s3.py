"""Objects in S3 and in stores that speak its language. Everything here blocks: call it in a thread.

Tencent Cloud COS decides the client's settings: it refuses path-style addresses (document 436/96243) and
bodies in `aws-chunked` encoding, in which boto3 would send checksums of its own. `DeleteObjects` it takes
with an MD5 alone.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as StoreConnectionError

from panoreel.blobs import multipart
from panoreel.blobs.errors import StoreRefused, StoreUnavailable
from panoreel.blobs.integrity import Digest
from panoreel.blobs.places import ObjectPlace, StoreAccess

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 60
MAX_RETRIES: Final = 5

_PASSING: Final = frozenset(
    {"BadDigest", "NoSuchUpload", "OperationAborted", "RequestTimeout", "RequestTimeTooSkewed", "SlowDown"}
)
"""Refusals (HTTP 4xx) that need not come again."""

_OWNER: Final = "application"

_logger = structlog.get_logger()


def connect(access: StoreAccess, max_retries: int = MAX_RETRIES) -> "S3Client":
    """A client that threads may share; it repeats a request that gets no answer up to `max_retries` times."""
    session = boto3.session.Session(
        aws_access_key_id=access.access_key.get_secret_value(),
        aws_secret_access_key=access.secret_key.get_secret_value(),
    )
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": access.addressing_style, "payload_signing_enabled": True},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": max_retries},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=2 * multipart.PARALLEL_PARTS,
    )
    client = session.client("s3", endpoint_url=access.endpoint, region_name=access.region, config=config)
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_content_md5)
    return client


@contextmanager
def connected(access: StoreAccess) -> Iterator["S3Client"]:
    """A client for as long as the context lasts."""
    with closing(connect(access)) as client:
        yield client


def store(
    client: "S3Client", place: ObjectPlace, file: Path, sha256: str, cancelled: threading.Event
) -> None:
    """Make sure that `place` holds `file`, whose SHA-256 is `sha256`, and that the store confirms it.

    What is there already is not sent again. Nothing but the whole object is ever visible.

    Raises:
        StoreRefused: the store, the file itself, or another owner's object there makes it impossible.
        StoreUnavailable: the store does not work now.
        UploadCancelled: `cancelled` was set meanwhile.
    """
    if digest_of(file) != sha256:
        raise StoreRefused("the packaged file is damaged: its SHA-256 is not the one it was sealed with")
    with explained():
        if _is_stored(client, place, file.stat().st_size, sha256):
            _logger.info("already stored", bucket=place.bucket, key=place.key)
        else:
            send(client, place, file, sha256, cancelled)


def send(client: "S3Client", place: ObjectPlace, file: Path, sha256: str, cancelled: threading.Event) -> None:
    """Store `file` in `place`, whatever is there; raises as `store` does."""
    size = file.stat().st_size
    with explained():
        if size < multipart.MIN_PART_BYTES:
            etag = _put(client, place, file.read_bytes(), sha256)
        else:
            etag = multipart.upload(client, place, file, _metadata(place, sha256), cancelled)
        found = client.head_object(Bucket=place.bucket, Key=place.key)
    if found["ETag"] != etag or not _matches(found, size, sha256):
        raise StoreUnavailable("the store shows another object than the one that was sent")


def digest_of(file: Path) -> str:
    """The file's SHA-256."""
    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


@contextmanager
def explained() -> Iterator[None]:
    """Turn boto3's errors into ours, by whether it makes sense to ask again."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        sentence = f"{code}: {error.response['Error'].get('Message', '')}"
        if http_status(error) >= 500 or http_status(error) == 429 or code in _PASSING:
            raise StoreUnavailable(sentence) from error
        raise StoreRefused(sentence) from error
    except (StoreConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: the object store does not answer") from error
    except BotoCoreError as error:
        raise StoreRefused(f"{type(error).__name__}: {error}") from error


def http_status(error: ClientError) -> int:
    """The status of the answer that the error stands for."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _add_content_md5(request: Any, **_: object) -> None:
    """COS insists on the body's MD5 in this request, and boto3 sends checksums of another kind."""
    request.headers["Content-MD5"] = Digest(request.body).header


def _put(client: "S3Client", place: ObjectPlace, content: bytes, sha256: str) -> str:
    digest = Digest(content)
    answer = client.put_object(
        Bucket=place.bucket,
        Key=place.key,
        Body=content,
        ContentMD5=digest.header,
        ContentType=multipart.CONTENT_TYPE,
        Metadata=_metadata(place, sha256),
    )
    return digest.confirmed_by(answer)


def _is_stored(client: "S3Client", place: ObjectPlace, size: int, sha256: str) -> bool:
    try:
        found = client.head_object(Bucket=place.bucket, Key=place.key)
    except ClientError as error:
        # An answer to HEAD has no body that would say why: if this is a refusal, the upload hears the reason.
        if http_status(error) < 500:
            return False
        raise
    if found["Metadata"].get(_OWNER, place.owner) != place.owner:
        raise StoreRefused("TargetDir and TargetName name a file of another application; use other ones")
    return _matches(found, size, sha256)


def _metadata(place: ObjectPlace, sha256: str) -> dict[str, str]:
    return {"sha256": sha256} | ({_OWNER: place.owner} if place.owner else {})


def _matches(found: "HeadObjectOutputTypeDef", size: int, sha256: str) -> bool:
    return found["ContentLength"] == size and found["Metadata"].get("sha256") == sha256
