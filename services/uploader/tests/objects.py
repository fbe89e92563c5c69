"""What a store holds, seen by a client of the test's own."""

import re
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


def unsigned(name: str) -> str:
    """The name of a part of a result without the sign of its task."""
    return re.sub("-[0-9a-f]{8}(?=-)", "", name)


def lines(playlist: bytes) -> list[str]:
    """The lines of a playlist, without the sign of its task in the names."""
    return unsigned(playlist.decode()).split()


def objects(store: Seaweed, directory: str, bucket: str = "") -> dict[str, bytes]:
    """What each object contains, by its name below the directory, without the sign of its task."""
    bucket = bucket or store.bucket
    with _client(store) as client:
        return {
            name: client.get_object(Bucket=bucket, Key=key)["Body"].read()
            for name, key in _keys(client, bucket, directory).items()
        }


def content_types(store: Seaweed, directory: str) -> dict[str, str]:
    """What each object says that it is."""
    with _client(store) as client:
        return {
            name: client.head_object(Bucket=store.bucket, Key=key)["ContentType"]
            for name, key in _keys(client, store.bucket, directory).items()
        }


def cache_controls(store: Seaweed, directory: str) -> dict[str, str]:
    """What those objects that say it tell caches."""
    with _client(store) as client:
        heads = {
            name: client.head_object(Bucket=store.bucket, Key=key)
            for name, key in _keys(client, store.bucket, directory).items()
        }
    return {name: head["CacheControl"] for name, head in heads.items() if "CacheControl" in head}


def _keys(client: "S3Client", bucket: str, directory: str) -> dict[str, str]:
    found = client.list_objects_v2(Bucket=bucket, Prefix=f"{directory}/").get("Contents", [])
    return {unsigned(each["Key"].removeprefix(f"{directory}/")): each["Key"] for each in found}


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
