"""Where results go and how they are called."""

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panoreel.contracts.events import OutputRequest
from panoreel.contracts.identifiers import Priority
from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.task import Phase, Task
from panoreel.uploader.names import backup_of, destination_of
from panoreel.uploader.settings import UploaderSettings

COS = "https://cos.{region}.myqcloud.com"
LOCAL = "http://127.0.0.1:9000"


def task_with(**output: Any) -> Task:
    return Task(
        task_id="7a035551",
        phase=Phase.UPLOAD,
        record_url="https://example.com/",
        callback_url=None,
        secrets_key="7a035551",
        encoder=EncoderParameters(width=1280, height=720),
        max_duration_s=60,
        priority=Priority.NORMAL,
        storage_type="cfs",
        output=OutputRequest(**output),
        create_time=datetime.fromtimestamp(1621406865.789, UTC),
    )


def settings_with(**changes: Any) -> UploaderSettings:
    given_settings: dict[str, Any] = {
        "nats_url": "nats://127.0.0.1",
        "blobs_dir": Path("/blobs"),
        "s3_endpoint": COS,
        "s3_access_key": "a",
        "s3_secret_key": "s",
        "s3_bucket": "rec-125",
        "s3_region": "ap-shanghai",
    }
    return UploaderSettings(**(given_settings | changes))


@pytest.mark.parametrize(
    ("output", "changes", "url"),
    [
        ({}, {}, "https://rec-125.cos.ap-shanghai.myqcloud.com/7a035551/1621406865789.mp4"),
        (
            {"bucket": "b-1", "region": "ap-chengdu", "target_dir": "11234/", "target_name": "x.mp4"},
            {"public_url_scheme": "http"},
            "http://b-1.cos.ap-chengdu.myqcloud.com/11234/x.mp4",
        ),
        ({"domain": "abc.xxx.com", "target_dir": "d"}, {}, "https://abc.xxx.com/d/1621406865789.mp4"),
        ({"domain": "http://abc.xxx.com/", "target_dir": "d"}, {}, "http://abc.xxx.com/d/1621406865789.mp4"),
        (
            {"target_dir": "d", "target_name": "x"},
            {"public_domain": "cdn.example"},
            "https://cdn.example/d/x.mp4",
        ),
        (
            {"domain": "mine.example", "target_dir": "d", "target_name": "x"},
            {"public_domain": "cdn.example"},
            "https://mine.example/d/x.mp4",
        ),
        (
            {"target_dir": "录", "target_name": "a b/100%"},
            {"s3_endpoint": LOCAL, "s3_addressing_style": "path"},
            f"{LOCAL}/rec-125/%E5%BD%95/a%20b/100%25.mp4",
        ),
        ({"target_dir": "d", "target_name": "x"}, {"s3_endpoint": LOCAL + "/"}, f"{LOCAL}/rec-125/d/x.mp4"),
        (
            {"target_dir": "d", "target_name": "x"},
            {"s3_endpoint": "https://s3.example:444", "s3_addressing_style": "path"},
            "https://s3.example:444/rec-125/d/x.mp4",
        ),
    ],
)
def test_url(output: dict[str, str], changes: dict[str, str], url: str) -> None:
    assert destination_of(task_with(**output), settings_with(**changes)).result("mp4").url == url


SIGN = "45a6eccf"


def test_parts_of_results_of_one_name_do_not_mix() -> None:
    one, other = (
        task_with(target_dir="a", target_name="b", muxers=("hls",)).model_copy(update={"task_id": task_id})
        for task_id in ("one", "other")
    )
    ones, others = (destination_of(task, settings_with()) for task in (one, other))
    assert ones.result("hls") == others.result("hls")
    assert ones.live() != others.live()
    assert ones.segment(0) != others.segment(0)
    assert ones.sheet(0) != others.sheet(0)


def test_destination() -> None:
    task = task_with(region="ap-chengdu", target_dir="a", target_name="b/c", muxers=("mp4", "hls"))
    destination = destination_of(task, settings_with())
    assert destination.access.endpoint == "https://cos.ap-chengdu.myqcloud.com"
    assert (destination.access.region, destination.bucket) == ("ap-chengdu", "rec-125")
    assert destination.result("mp4").filename == "c.mp4"
    places = [
        destination.result("mp4"),
        destination.result("hls"),
        destination.segment(42),
        destination.live(),
        destination.sheet(3),
        destination.sprites(),
        destination.poster(),
        destination.manifest(),
    ]
    assert [place.key.removeprefix("a/b/c") for place in places] == [
        ".mp4",
        ".m3u8",
        f"-{SIGN}-00042.ts",
        f"-{SIGN}-live.m3u8",
        f"-{SIGN}-sprites-00003.jpg",
        "-sprites.vtt",
        ".jpg",
        ".json",
    ]


BACKUP = {
    "backup_endpoint": "https://s3.backup.example",
    "backup_region": "r-1",
    "backup_access_key": "a",
    "backup_secret_key": "s",
    "backup_bucket": "spare",
}


def test_backup() -> None:
    task = task_with(bucket="b-1", domain="cdn.example", target_dir="d", target_name="x")
    assert backup_of(task, settings_with(), "no") is None
    backup = backup_of(task, settings_with(**BACKUP), "no")
    assert backup
    assert backup.result("mp4").url == "https://spare.s3.backup.example/d/x.mp4"
    assert backup.refusal == "no"
    called_alike = task_with(bucket="spare", target_dir="d", target_name="x")
    assert backup_of(called_alike, settings_with(**BACKUP), "no") is None, "facts name buckets alone"


@pytest.mark.parametrize(
    ("changes", "output", "refused"),
    [
        ({"raw_prefix": "media/now/"}, {"target_dir": "media/now"}, True),
        ({"raw_prefix": "media/now/"}, {"target_dir": "media/nowhere"}, False),
        ({"raw_prefix": "media/now/"}, {"target_dir": "media/now", "bucket": "other"}, False),
        ({"raw_prefix": ""}, {"target_dir": "segments/task-2/1", "target_name": "0"}, True),
        ({"raw_prefix": ""}, {"target_dir": ".panoreel-blobs"}, True),
        ({"raw_prefix": ""}, {"target_dir": "lessons"}, False),
        ({"raw_bucket": None, "raw_prefix": "media/"}, {"target_dir": "media"}, False),
    ],
)
def test_results_keep_off_the_media(changes: dict[str, Any], output: dict[str, str], refused: bool) -> None:
    having_media = settings_with(**({"raw_bucket": "rec-125"} | changes))
    with pytest.raises(ValueError, match="TargetDir names a place") if refused else nullcontext():
        destination_of(task_with(**output), having_media)


def test_a_request_without_a_valid_place_is_refused() -> None:
    with pytest.raises(ValueError, match="TargetDir"):
        destination_of(task_with(target_dir="../other"), settings_with())
    with pytest.raises(ValueError, match="Bucket"):
        destination_of(task_with(bucket="a_b"), settings_with())


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_the_url_leads_to_the_key(target_dir: str, target_name: str) -> None:
    try:
        task = task_with(target_dir=target_dir, target_name=target_name)
        place = destination_of(task, settings_with()).result("mp4")
    except ValueError:
        return
    assert place.url.isascii()
    parts = urlsplit(place.url)
    assert unquote(parts.path) == f"/{place.key}"
    assert not parts.query
    assert not parts.fragment
    assert place.key.endswith(f"/{place.filename}")


@pytest.mark.parametrize(
    "changes",
    [
        {"s3_bucket": "With_Capitals"},
        {"s3_endpoint": "127.0.0.1:9000"},
        {"s3_endpoint": "https://host/path"},
        {"s3_region": ""},
        {"s3_addressing_style": "auto"},
        {"url_style": "short"},
        {"presigned_url_s": 604_801},
        {"backup_bucket": "spare"},
        {"backup_bucket": "rec-125", **{name: BACKUP[name] for name in BACKUP if name != "backup_bucket"}},
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"(?i){next(iter(changes))}"):
        settings_with(**changes)
