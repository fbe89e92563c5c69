"""What `Data` may hold: defaults, ranges, and a sentence for each mistake."""

from typing import Any

import pytest

from panoreel.contracts.events import OutputRequest
from panoreel.dispatch.parameters import InvalidParam, parse_start, parse_task_id

URL = "https://example.com/class?token=secret"


def start(**data: Any) -> dict[str, Any]:
    return {"RecordURL": URL} | data


def test_only_the_url_is_required() -> None:
    parameters = parse_start(start())
    assert parameters.RecordURL == URL
    assert (parameters.Width, parameters.Height, parameters.MaxDurationLimit) == (0, 0, 0)
    assert parameters.output_request() == OutputRequest()


def test_every_output_field_reaches_the_uploader() -> None:
    cos = {
        "Domain": "cdn.example.com",
        "Bucket": "rec-1",
        "Region": "ap-shanghai",
        "TargetDir": "11234/",
        "TargetName": "x.mp4",
    }
    parameters = parse_start(start(Output={"Cos": cos, "Video": {"Muxer": "mp4"}}))
    assert parameters.output_request() == OutputRequest(
        domain="cdn.example.com",
        bucket="rec-1",
        region="ap-shanghai",
        target_dir="11234/",
        target_name="x.mp4",
    )


@pytest.mark.parametrize("width", [0, 1, 1281, 2560, 1280.0])
def test_widths_in_range(width: float) -> None:
    assert parse_start(start(Width=width)).Width == width


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "RecordURL missing"),
        ({"RecordURL": ""}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "example.com"}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "file:///etc/passwd"}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "javascript:alert(1)"}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "http://[::1"}, "RecordURL must be a valid URL"),
        ({"RecordURL": "http://example.com:99999/"}, "RecordURL must be a valid URL"),
        ({"RecordURL": "http://example.com/a b"}, "RecordURL must not contain blanks"),
        ({"RecordURL": 5}, "RecordURL must be a string"),
        (start(Width=-1), "Width must be in range [0, 2560]"),
        (start(Height=2561), "Height must be in range [0, 2560]"),
        (start(Width="1280"), "Width must be a number"),
        (start(Width=True), "Width must be a number"),
        (start(Width=12.5), "Width must be a whole number"),
        (start(MaxDurationLimit=36001), "MaxDurationLimit must be in range [0, 36000]"),
        (start(CallbackURL="ftp://example.com/"), "CallbackURL must be an absolute http or https URL"),
        (start(MaxDurationLimit=float("nan")), "MaxDurationLimit must be a whole number"),
        (start(Widht=1), "Widht is not a parameter of this action"),
        (start(**{"x" * 9000: 1}), "x" * 100 + " is not a parameter of this action"),
        (start(Output=[]), "Output must be a JSON object"),
        (start(StorageType="cos"), "StorageType must be 'cfs' in this version"),
        (start(ManualStart=True), "ManualStart is not available in this version"),
        (start(Output={"Video": {"Muxer": "hls"}}), "Output.Video.Muxer must be 'mp4' in this version"),
        (start(Output={"Vod": {"SubAppId": 1}}), "Output.Vod is not available in this version"),
        (start(Output={"Cos": {"Bucket": 7}}), "Output.Cos.Bucket must be a string"),
    ],
)
def test_a_wrong_field_is_named(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        parse_start(data)
    assert str(caught.value).startswith(sentence)
    assert "secret" not in str(caught.value)


def test_an_empty_callback_url_is_none() -> None:
    assert parse_start(start(CallbackURL="")).CallbackURL is None


def test_what_the_original_defaults_to_may_be_spelled_out() -> None:
    parse_start(start(ManualStart=False, StorageType="cfs", Output={"Video": {"Muxer": "mp4"}}))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "TaskID missing"),
        ({"TaskID": ""}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a" * 65}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a.b"}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a>"}, "TaskID must consist of 1 to 64"),
        ({"TaskID": None}, "TaskID must be a string"),
    ],
)
def test_task_ids_that_cannot_be(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        parse_task_id(data)
    assert str(caught.value).startswith(sentence)
