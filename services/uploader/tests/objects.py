"""What a store holds, seen by a client of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.seaweed import Seaweed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@contextmanager
def _client(store: Seaweed) -> Iterator["S3Client"]:
    client = store.client()
    try:
        yield client
    finally:
        client.close()


def objects(store: Seaweed, directory: str, bucket: str = "") -> dict[str, bytes]:
    """What each object contains, by its name below the directory."""
    bucket = bucket or store.bucket
    prefix = f"{directory}/"
    with _client(store) as client:
        found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {
            key.removeprefix(prefix): client.get_object(Bucket=bucket, Key=key)["Body"].read()
            for key in (each["Key"] for each in found)
        }


def content_types(store: Seaweed, directory: str) -> dict[str, str]:
    """What each object says that it is."""
    with _client(store) as client:
        return {
            name: client.head_object(Bucket=store.bucket, Key=f"{directory}/{name}")["ContentType"]
            for name in objects(store, directory)
        }


def unfinished(store: Seaweed, directory: str, bucket: str = "") -> list[str]:
    """The ids of uploads that nobody has completed or aborted."""
    with _client(store) as client:
        found = client.list_multipart_uploads(Bucket=bucket or store.bucket, Prefix=directory)
        return [upload["UploadId"] for upload in found.get("Uploads", [])]


def parts(store: Seaweed, key: str) -> set[int]:
    """The parts that the only unfinished upload of a key has so far."""
    [upload_id] = unfinished(store, key)
    with _client(store) as client:
        found = client.list_parts(Bucket=store.bucket, Key=key, UploadId=upload_id)
        return {part["PartNumber"] for part in found.get("Parts", [])}


def forget(store: Seaweed, key: str) -> None:
    """Make the store forget the uploads of a key, as a rule for its bucket may."""
    with _client(store) as client:
        for upload_id in unfinished(store, key):
            client.abort_multipart_upload(Bucket=store.bucket, Key=key, UploadId=upload_id)
