"""Recordings whose media rests in a bucket until the file is made."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.e2e.panoreel import Panoreel
from tests.e2e.test_survival import find_process, finish, restarts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OUTAGE_S = 10.0


@pytest.fixture
def s3(panoreel: Panoreel) -> Iterator["S3Client"]:
    """A client of the test's own."""
    endpoints = panoreel.endpoints
    session = boto3.session.Session(endpoints["s3_access_key"], endpoints["s3_secret_key"])
    client = session.client("s3", endpoint_url=endpoints["s3"], region_name=endpoints["s3_region"])
    yield client
    client.close()


def resting(s3: "S3Client", panoreel: Panoreel, kind: str, task_id: str) -> list[str]:
    """The keys of a task's blobs of this kind."""
    bucket = f"{panoreel.endpoints['s3_bucket']}-raw"
    listing = s3.list_objects_v2(Bucket=bucket, Prefix=f"raw/{kind}/")
    return [found["Key"] for found in listing.get("Contents", []) if task_id in found["Key"]]


def start(s3: "S3Client", panoreel: Panoreel, url: str) -> str:
    """Start a recording and wait until two segments of it are in the bucket, and none is in the directory."""
    task_id: str = panoreel.act("Start", RecordURL=url, StorageType="cos")["TaskID"]
    deadline = time.monotonic() + 60
    while len(resting(s3, panoreel, "segments", task_id)) < 2:
        assert time.monotonic() < deadline, panoreel.act("Describe", TaskID=task_id)
        time.sleep(0.2)
    assert list((panoreel.data / "blobs").rglob(f"*{task_id}*")) == []
    return task_id


def expect_tidy(s3: "S3Client", panoreel: Panoreel, task_id: str) -> None:
    """What was packaged is removed a moment after the end; the segments are kept, to cut clips from."""
    deadline = time.monotonic() + 60
    while resting(s3, panoreel, "outputs", task_id):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert resting(s3, panoreel, "segments", task_id)


def test_a_recording_by_way_of_a_bucket(
    panoreel: Panoreel, site: str, s3: "S3Client", tmp_path: Path
) -> None:
    task_id = start(s3, panoreel, f"{site}/sync.html")
    task, numbers = finish(panoreel, task_id, tmp_path / "bucket.mp4")
    assert task["Result"]["Videos"][0]["FileDuration"] >= 4
    assert restarts(numbers) == 0
    expect_tidy(s3, panoreel, task_id)


def test_a_store_that_hangs_and_dies_costs_no_picture(
    panoreel: Panoreel, site: str, s3: "S3Client", tmp_path: Path, slack: float
) -> None:
    task_id = start(s3, panoreel, f"{site}/sync.html")
    weed = find_process(panoreel, "weed")
    weed.suspend()
    time.sleep(OUTAGE_S)
    weed.kill()
    task, numbers = finish(panoreel, task_id, tmp_path / "survived.mp4")
    assert "RetryNum" not in task
    duration_s = task["Result"]["Videos"][0]["FileDuration"]
    assert duration_s >= OUTAGE_S + 4
    assert restarts(numbers) == 0
    assert len(set(numbers)) >= (25 * duration_s - 30) / slack
    expect_tidy(s3, panoreel, task_id)
