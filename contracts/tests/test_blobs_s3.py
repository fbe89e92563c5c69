"""Objects in a real store: whole, verified, and sent once."""

import contextlib
import hashlib
import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSPreparedRequest
from pydantic import SecretStr

from panoreel.blobs import multipart, s3
from panoreel.blobs.errors import StoreRefused, StoreUnavailable, UploadCancelled, UploadForgotten
from panoreel.blobs.places import ObjectPlace, StoreAccess
from tests.servers.seaweed import Seaweed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1 << 20
PARTS = 3
LARGE = 20 * MIB + 17


def a_file(tmp_path: Path, size: int) -> tuple[Path, str]:
    content = os.urandom(size)
    file = tmp_path / "output.mp4"
    file.write_bytes(content)
    return file, hashlib.sha256(content).hexdigest()


def a_place(store: Seaweed, key: str | None = None) -> ObjectPlace:
    return ObjectPlace(store.bucket, key or f"{uuid4().hex}/video.mp4")


@pytest.fixture
def client(seaweed: Seaweed) -> Iterator["S3Client"]:
    with s3.connected(seaweed.access) as connected:
        yield connected


def requests_of(client: "S3Client") -> list[str]:
    """The names of the requests that are made with the client from now on."""
    made: list[str] = []
    client.meta.events.register("before-call.s3", lambda model, **_: made.append(model.name))
    return made


def unfinished_uploads(client: "S3Client", place: ObjectPlace) -> list[str]:
    found = client.list_multipart_uploads(Bucket=place.bucket, Prefix=place.key)
    return [upload["UploadId"] for upload in found.get("Uploads", [])]


@pytest.mark.parametrize("size", [1, 5 * MIB, 8 * MIB, LARGE])
def test_round_trip(client: "S3Client", seaweed: Seaweed, tmp_path: Path, size: int) -> None:
    file, sha256 = a_file(tmp_path, size)
    place = a_place(seaweed, key=f"{uuid4().hex}/录 100%/a b.mp4")
    s3.store(client, place, file, sha256, threading.Event())
    found = client.get_object(Bucket=place.bucket, Key=place.key)
    assert found["Body"].read() == file.read_bytes()
    assert found["ContentType"] == "video/mp4"
    assert found["Metadata"] == {"sha256": sha256}
    assert unfinished_uploads(client, place) == []


def test_what_is_there_is_not_sent_again(client: "S3Client", seaweed: Seaweed, tmp_path: Path) -> None:
    place = a_place(seaweed)
    file, sha256 = a_file(tmp_path, LARGE)
    requests = requests_of(client)
    s3.store(client, place, file, sha256, threading.Event())
    assert requests.count("UploadPart") == PARTS
    assert requests[-1] == "HeadObject"
    requests.clear()
    s3.store(client, place, file, sha256, threading.Event())
    assert requests == ["HeadObject"]


def test_another_object_in_its_place_is_replaced(
    client: "S3Client", seaweed: Seaweed, tmp_path: Path
) -> None:
    place = a_place(seaweed)
    file, sha256 = a_file(tmp_path, 1000)
    client.put_object(Bucket=place.bucket, Key=place.key, Body=bytes(1000), Metadata={"sha256": "0" * 64})
    s3.store(client, place, file, sha256, threading.Event())
    assert client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read() == file.read_bytes()


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [("a", "b", False), ("a", "", False), ("a", "a", True), ("", "b", True)],
)
def test_an_owners_object_is_replaced_by_nobody_else(
    client: "S3Client", seaweed: Seaweed, tmp_path: Path, size: int, before: str, after: str, replaced: bool
) -> None:
    place = a_place(seaweed)
    file, sha256 = a_file(tmp_path, size)
    s3.store(client, replace(place, owner=before), file, sha256, threading.Event())
    file, sha256 = a_file(tmp_path, size)
    refused = (
        contextlib.nullcontext() if replaced else pytest.raises(StoreRefused, match="another application")
    )
    with refused:
        s3.store(client, replace(place, owner=after), file, sha256, threading.Event())
    found = client.get_object(Bucket=place.bucket, Key=place.key)
    assert (found["Body"].read() == file.read_bytes()) == replaced
    assert found["Metadata"].get("application", "") == (after if replaced else before)


def test_a_damaged_file_is_not_sent(client: "S3Client", seaweed: Seaweed, tmp_path: Path) -> None:
    file, sha256 = a_file(tmp_path, 1000)
    with file.open("r+b") as content:
        content.write(b"damage")
    requests = requests_of(client)
    with pytest.raises(StoreRefused, match="damaged"):
        s3.store(client, a_place(seaweed), file, sha256, threading.Event())
    assert requests == []


@pytest.mark.parametrize("size", [1000, LARGE])
def test_the_store_refuses_bytes_that_changed_on_the_way(
    client: "S3Client", seaweed: Seaweed, tmp_path: Path, size: int
) -> None:
    """One byte changes after its MD5 was computed and before the request is signed."""

    def damage(params: dict[str, Any], **_: Any) -> None:
        params["Body"] = params["Body"][:-1] + bytes([params["Body"][-1] ^ 1])

    for operation in ("PutObject", "UploadPart"):
        client.meta.events.register(f"provide-client-params.s3.{operation}", damage)
    place = a_place(seaweed)
    file, sha256 = a_file(tmp_path, size)
    with pytest.raises(StoreUnavailable, match=r"BadDigest|other bytes"):
        s3.store(client, place, file, sha256, threading.Event())
    assert unfinished_uploads(client, place) == []


def test_parts_that_a_killed_process_left_are_removed(
    client: "S3Client", seaweed: Seaweed, tmp_path: Path
) -> None:
    place = a_place(seaweed)
    neighbour = a_place(seaweed, key=place.key + ".other")
    for other in (place, neighbour):
        left = client.create_multipart_upload(Bucket=other.bucket, Key=other.key)["UploadId"]
        client.upload_part(
            Bucket=other.bucket, Key=other.key, UploadId=left, PartNumber=1, Body=bytes(5 * MIB)
        )
    file, sha256 = a_file(tmp_path, LARGE)
    s3.store(client, place, file, sha256, threading.Event())
    assert unfinished_uploads(client, place) == unfinished_uploads(client, neighbour) == [left]
    client.abort_multipart_upload(Bucket=place.bucket, Key=neighbour.key, UploadId=left)


def test_parts_are_sent_in_any_order_and_again(client: "S3Client", seaweed: Seaweed) -> None:
    place = a_place(seaweed)
    contents = {number: os.urandom(5 * MIB + number) for number in (3, 1, 2)}
    upload = multipart.begin(client, place, {"task": "t"})
    upload.send(2, bytes(5 * MIB))
    etags = {number: upload.send(number, content) for number, content in contents.items()}
    etag = upload.complete(etags)
    whole = contents[1] + contents[2] + contents[3]
    s3.verify(client, place, len(whole), etag)
    assert client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read() == whole
    with pytest.raises(StoreUnavailable, match="another object"):
        s3.verify(client, place, len(whole) - 1, etag)


def test_an_upload_that_is_gone_is_told_as_such(client: "S3Client", seaweed: Seaweed) -> None:
    upload = multipart.begin(client, a_place(seaweed), {})
    upload.abort()
    with pytest.raises(UploadForgotten):
        upload.send(1, b"part")
    with pytest.raises(UploadForgotten):
        upload.complete({1: '"d41d8cd98f00b204e9800998ecf8427e"'})


def test_only_uploads_of_a_certain_age_are_removed(client: "S3Client", seaweed: Seaweed) -> None:
    upload = multipart.begin(client, a_place(seaweed), {})
    multipart.abort_unfinished(client, upload.place, datetime.now(UTC) - timedelta(hours=1))
    assert unfinished_uploads(client, upload.place) == [upload.upload_id]
    multipart.abort_unfinished(client, upload.place, datetime.now(UTC) + timedelta(hours=1))
    assert unfinished_uploads(client, upload.place) == []


def test_a_cancelled_upload_leaves_nothing(client: "S3Client", seaweed: Seaweed, tmp_path: Path) -> None:
    place = a_place(seaweed)
    file, sha256 = a_file(tmp_path, 64 * MIB)
    cancelled = threading.Event()
    client.meta.events.register("before-call.s3.UploadPart", lambda **_: cancelled.set())
    with pytest.raises(UploadCancelled):
        s3.store(client, place, file, sha256, cancelled)
    assert unfinished_uploads(client, place) == []
    assert "Contents" not in client.list_objects_v2(Bucket=place.bucket, Prefix=place.key)


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize(
    ("changes", "bucket", "code"),
    [
        ({"access_key": SecretStr("nobody")}, "panoreel", "InvalidAccessKeyId"),
        ({"secret_key": SecretStr("wrong")}, "panoreel", "SignatureDoesNotMatch"),
        ({}, "no-such-bucket", "NoSuchBucket"),
    ],
)
def test_refusals_are_final_and_named(
    seaweed: Seaweed, tmp_path: Path, size: int, changes: dict[str, Any], bucket: str, code: str
) -> None:
    place = replace(a_place(seaweed), bucket=bucket)
    file, sha256 = a_file(tmp_path, size)
    with (
        s3.connected(replace(seaweed.access, **changes)) as client,
        pytest.raises(StoreRefused, match=f"^{code}: .+"),
    ):
        s3.store(client, place, file, sha256, threading.Event())


def test_a_store_that_dies_within_an_upload(own_seaweed: Seaweed, tmp_path: Path) -> None:
    place = a_place(own_seaweed)
    file, sha256 = a_file(tmp_path, LARGE)
    impatient = own_seaweed.client()
    impatient.meta.events.register("before-call.s3.UploadPart", lambda **_: own_seaweed.kill())
    with pytest.raises(StoreUnavailable, match="does not answer"):
        s3.store(impatient, place, file, sha256, threading.Event())
    impatient.close()

    own_seaweed.start()
    client = own_seaweed.client()
    s3.store(client, place, file, sha256, threading.Event())
    assert client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read() == file.read_bytes()
    assert unfinished_uploads(client, place) == []
    client.close()


class _SeenEnough(Exception):
    """The request was seen; it needs no answer."""


def sent_to_cos(operation: str, **fields: Any) -> AWSPreparedRequest:
    """The request as it would be sent, over https: only there would boto3 use `aws-chunked`."""
    key = SecretStr("key")
    endpoint = "https://cos.ap-shanghai.myqcloud.com"
    cos = StoreAccess(endpoint=endpoint, region="ap-shanghai", access_key=key, secret_key=key)
    seen: list[AWSPreparedRequest] = []

    def see(request: AWSPreparedRequest, **_: Any) -> None:
        seen.append(request)
        raise _SeenEnough

    with s3.connected(cos) as client:
        client.meta.events.register("before-send.s3", see)
        with pytest.raises(_SeenEnough):
            getattr(client, operation)(Bucket="rec-125", **fields)
    [request] = seen
    assert str(request.url).startswith("https://rec-125.cos.ap-shanghai.myqcloud.com/")
    return request


@pytest.mark.parametrize(
    ("operation", "fields"), [("put_object", {}), ("upload_part", {"UploadId": "u", "PartNumber": 1})]
)
def test_requests_are_such_that_cos_takes_them(operation: str, fields: dict[str, Any]) -> None:
    request = sent_to_cos(operation, Key="a/b.mp4", Body=b"x", ContentMD5="nd", **fields)
    names = {name.lower() for name in request.headers}
    assert request.headers["Content-Length"] == "1"
    assert "content-md5" in names
    assert len(request.headers["X-Amz-Content-SHA256"]) == 64
    assert not names & {
        "content-encoding",
        "transfer-encoding",
        "x-amz-trailer",
        "x-amz-sdk-checksum-algorithm",
    }
    assert not [name for name in names if name.startswith("x-amz-checksum")]


def test_a_removal_carries_the_md5_that_cos_insists_on() -> None:
    request = sent_to_cos("delete_objects", Delete={"Objects": [{"Key": "a/b.mp4"}]})
    assert isinstance(request.body, bytes)
    assert request.headers["Content-MD5"] == b64encode(hashlib.md5(request.body).digest())
    assert b"content-md5" in request.headers["Authorization"]


@pytest.mark.parametrize(
    ("size", "length"),
    [(8 * MIB, 8 * MIB), (80_000 * MIB, 8 * MIB), (80_000 * MIB + 1, 9 * MIB), (5 << 40, 525 * MIB)],
)
def test_part_length_grows_so_that_10000_parts_suffice(size: int, length: int) -> None:
    assert multipart.part_bytes(size) == length
    assert -(-size // length) <= multipart.MAX_PARTS
