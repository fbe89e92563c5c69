"""Objects in S3 and in stores that speak its language. Everything here blocks: call it in a thread.

Tencent Cloud COS decides the client's settings: it refuses path-style addresses (document 436/96243) and
bodies in `aws-chunked` encoding, in which boto3 would send checksums of its own. `DeleteObjects` it takes
with an MD5 alone.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import structlog
from botocore.config import Config

from panoreel.blobs import multipart
from panoreel.blobs.errors import ForeignObject, StoreRefused, StoreUnavailable
from panoreel.blobs.integrity import Digest
from panoreel.blobs.places import ObjectPlace, StoreAccess
from panoreel.blobs.refusals import explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef, PutObjectRequestTypeDef

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 60
MAX_RETRIES: Final = 5
CONNECTIONS: Final = 32

_OWNER: Final = "application"

_logger = structlog.get_logger()


def connect(access: StoreAccess, max_retries: int = MAX_RETRIES) -> "S3Client":
    """A client that threads may share; it repeats a request that gets no answer up to `max_retries` times."""
    token = access.session_token
    session = boto3.session.Session(
        aws_access_key_id=access.access_key.get_secret_value(),
        aws_secret_access_key=access.secret_key.get_secret_value(),
        aws_session_token=token.get_secret_value() if token else None,
    )
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": access.addressing_style, "payload_signing_enabled": True},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": max_retries},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=CONNECTIONS,
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
    client: "S3Client", place: ObjectPlace, file: Path, digest: str, cancelled: threading.Event
) -> None:
    """Make sure that `place` holds `file`, whose SHA-256 is `digest`, and that the store confirms it.

    What is there already is not sent again. Nothing but the whole object is ever visible.

    Raises:
        StoreRefused: the store, the file itself, or another owner's object there makes it impossible.
        StoreUnavailable: the store does not work now.
        UploadCancelled: `cancelled` was set meanwhile.
    """
    if digest_of(file) != digest:
        raise StoreRefused("the packaged file is damaged: its SHA-256 is not the one it was sealed with")
    if _stored(client, place, file.stat().st_size, digest):
        _logger.info("already stored", bucket=place.bucket, key=place.key)
    else:
        send(client, place, file, digest, cancelled)


def store_bytes(client: "S3Client", place: ObjectPlace, content: bytes) -> str:
    """As `store`, from memory and in one request; the object's ETag."""
    found = _stored(client, place, len(content), sha256(content).hexdigest())
    return found["ETag"] if found else send_bytes(client, place, content)


def send(client: "S3Client", place: ObjectPlace, file: Path, digest: str, cancelled: threading.Event) -> None:
    """Store `file` in `place`, whatever is there; raises as `store` does."""
    size = file.stat().st_size
    if size < multipart.MIN_PART_BYTES:
        send_bytes(client, place, file.read_bytes())
        return
    etag = multipart.send_file(client, place, file, _metadata(place, digest), cancelled)
    verify(client, place, size, etag)


def send_bytes(client: "S3Client", place: ObjectPlace, content: bytes) -> str:
    """Store `content` in `place`, whatever is there; its ETag. Raises as `store` does."""
    etag = put(client, place, content)
    verify(client, place, len(content), etag)
    return etag


def put(client: "S3Client", place: ObjectPlace, content: bytes) -> str:
    """As `send_bytes`, for whoever may not look at what was stored: the store's answer confirms its MD5."""
    digest = Digest(content)
    request: PutObjectRequestTypeDef = {
        "Bucket": place.bucket,
        "Key": place.key,
        "Body": content,
        "ContentMD5": digest.header,
        "ContentType": place.content_type,
        "Metadata": _metadata(place, sha256(content).hexdigest()),
    }
    if place.cache_control:
        request["CacheControl"] = place.cache_control
    with explained():
        answer = client.put_object(**request)
    return digest.confirmed_by(answer)


def verify(client: "S3Client", place: ObjectPlace, size: int, etag: str) -> None:
    """Make sure that the store shows what it has confirmed.

    Raises:
        StoreUnavailable: it does not.
    """
    found = head(client, place)
    if found is None or found["ETag"] != etag or found["ContentLength"] != size:
        raise StoreUnavailable("the store shows another object than the one that was sent")


def head(client: "S3Client", place: ObjectPlace) -> "HeadObjectOutputTypeDef | None":
    """What is in `place`; None if there is nothing.

    Raises:
        ForeignObject: it is another owner's.
        StoreUnavailable: the store does not work now.
    """
    try:
        with explained():
            found = client.head_object(Bucket=place.bucket, Key=place.key)
    except StoreRefused:
        # An answer to HEAD has no body that would say why: if this is a refusal, the upload hears the reason.
        return None
    if found["Metadata"].get(_OWNER, place.owner) != place.owner:
        raise ForeignObject("TargetDir and TargetName name a file of another application; use other ones")
    return found


def presigned(client: "S3Client", place: ObjectPlace, seconds: int) -> str:
    """A URL under which anybody may read the object for so long; it asks nobody."""
    return client.generate_presigned_url(
        "get_object", Params={"Bucket": place.bucket, "Key": place.key}, ExpiresIn=seconds
    )


def owned(place: ObjectPlace, metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that marks an object with its owner, too."""
    return dict(metadata) | ({_OWNER: place.owner} if place.owner else {})


def digest_of(file: Path) -> str:
    """The file's SHA-256."""
    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def _add_content_md5(request: Any, **_: object) -> None:
    """COS insists on the body's MD5 in this request, and boto3 sends checksums of another kind."""
    request.headers["Content-MD5"] = Digest(request.body).header


def _stored(
    client: "S3Client", place: ObjectPlace, size: int, digest: str
) -> "HeadObjectOutputTypeDef | None":
    """What is in `place`, if it is of this size and SHA-256."""
    found = head(client, place)
    return (
        found
        if found and (found["ContentLength"], found["Metadata"].get("sha256")) == (size, digest)
        else None
    )


def _metadata(place: ObjectPlace, digest: str) -> dict[str, str]:
    return owned(place, {"sha256": digest})
