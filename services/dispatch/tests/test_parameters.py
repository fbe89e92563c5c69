"""What `Data` may hold: defaults, ranges, and a sentence for each mistake."""

from typing import Any

import pytest

from panoreel.contracts.browser import BrowserSettings
from panoreel.contracts.events import OutputRequest, PagePolicy
from panoreel.contracts.media import EncoderParameters
from panoreel.dispatch.parameters import InvalidParam, StartParameters, TaskParameters

URL = "https://example.com/class?token=hunter2"


def start(**data: Any) -> dict[str, Any]:
    return {"RecordURL": URL} | data


def test_only_the_url_is_required() -> None:
    parameters = StartParameters.parse(start())
    assert parameters.RecordURL == URL
    assert (parameters.Width, parameters.Height, parameters.MaxDurationLimit) == (0, 0, 0)
    assert parameters.output_request() == OutputRequest()
    assert parameters.browser_settings() == BrowserSettings()


def test_every_output_field_reaches_the_uploader() -> None:
    cos = {
        "Domain": "cdn.example.com",
        "Bucket": "rec-1",
        "Region": "ap-shanghai",
        "TargetDir": "11234/",
        "TargetName": "x.mp4",
    }
    parameters = StartParameters.parse(start(Output={"Cos": cos, "Video": {"Muxer": "mp4"}}))
    assert parameters.output_request() == OutputRequest(
        domain="cdn.example.com",
        bucket="rec-1",
        region="ap-shanghai",
        target_dir="11234/",
        target_name="x.mp4",
    )


@pytest.mark.parametrize(
    "data",
    [
        *({"Width": width} for width in (0, 1, 1281, 2560, 1280.0)),
        {"CallbackURL": "", "PageTitle": "", "Headers": {"UserAgent": ""}},
        # What the original defaults to may be spelled out, and null stands for a field that is left out.
        {"ManualStart": False, "StorageType": "cfs", "Output": {"Video": {"Muxer": "mp4"}}},
        {"Width": None, "Output": {"Cos": None, "Vod": None}, "Browser": {"Cookies": None}},
        {"ManualStart": True, "PageTitle": "课堂", "Headers": {"UserAgent": "Mozilla/5.0 (X11)"}},
        {"Headers": {"UserAgent": "one"}, "Browser": {"UserAgent": "one"}},
        *({"QueueTimeout": seconds} for seconds in (0, 1, 86_400)),
        *({"BlankTimeout": seconds} for seconds in (0, 1, 2.5, 36_000)),
    ],
)
def test_accepted(data: dict[str, Any]) -> None:
    StartParameters.parse(start(**data))


def video(**fields: Any) -> dict[str, Any]:
    return start(Output={"Video": fields})


def vod(**fields: Any) -> dict[str, Any]:
    return start(Output={"Vod": fields})


@pytest.mark.parametrize(
    ("fields", "encoded"),
    [
        ({}, {}),
        ({"Fps": 60, "Crf": 51, "KeyframeInterval": 0.5}, {"fps": 60, "crf": 51, "keyframe_interval_s": 0.5}),
        ({"Fps": 1, "Crf": 1, "KeyframeInterval": 10}, {"fps": 1, "crf": 1, "keyframe_interval_s": 10}),
        ({"Bitrate": 50_000}, {"bitrate": 50_000}),
        ({"Bitrate": 50_000_000, "Crf": None}, {"bitrate": 50_000_000}),
        *(({"AudioBitrate": rate}, {"audio_bitrate": rate}) for rate in (16_000, 512_000)),
        ({"AudioBitrate": 0, "VideoOnly": True}, {"tracks": "video"}),
        ({"AudioBitrate": 32_000, "AudioOnly": True}, {"audio_bitrate": 32_000, "tracks": "audio"}),
        ({"AudioOnly": False, "VideoOnly": False}, {}),
    ],
)
def test_how_it_is_encoded(fields: dict[str, Any], encoded: dict[str, Any]) -> None:
    parameters = StartParameters.parse(video(**fields))
    assert parameters.encoder() == EncoderParameters(width=1280, height=720, **encoded)


def media(**fields: Any) -> dict[str, Any]:
    return vod(MediaInfo=fields)


HEX = "0123456789abcdef" * 2
AUTH = "https://example.com/key?token=hunter2"
NO_HLS = "Output.Video.Muxer hls is not available in this version; use mp4"
NO_VOD = "Output.Vod is not available in this version; leave it out"
MOMENT = "Output.Vod.MediaInfo.ExpireTime must be a time of ISO 8601"
WRONG_SUB_APP_IDS: list[Any] = ["x", True, 1.5, -1, "1" * 20, {}]
SUB_APP = "Output.Vod.SubAppId must be a whole number, or a string of at most 19 digits"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "RecordURL missing"),
        ({"RecordURL": None}, "RecordURL missing"),
        ({"RecordURL": ""}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "example.com"}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "file:///etc/passwd"}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "javascript:alert(1)"}, "RecordURL must be an absolute http or https URL"),
        ({"RecordURL": "http://[::1"}, "RecordURL must be a valid URL"),
        ({"RecordURL": "http://example.com:99999/"}, "RecordURL must be a valid URL"),
        ({"RecordURL": "http://example.com/a b"}, "RecordURL must not contain blanks"),
        ({"RecordURL": "http://example.com/" + "a" * 8192}, "RecordURL must not be longer than 8192"),
        ({"RecordURL": "http://example.com/\ud800"}, "RecordURL must consist of Unicode characters"),
        ({"RecordURL": 5}, "RecordURL must be a string"),
        (start(Width=-1), "Width must be in range [0, 2560]"),
        (start(Height=2561), "Height must be in range [0, 2560]"),
        (start(Height=10**400), "Height must be in range [0, 2560]"),
        (start(Width="1280"), "Width must be a number"),
        (start(Width=True), "Width must be a number"),
        (start(Width=12.5), "Width must be a whole number"),
        (start(Height=1e300), "Height must be in range [0, 2560]"),
        (start(MaxDurationLimit=36001), "MaxDurationLimit must be in range [0, 36000]"),
        (start(MaxDurationLimit=float("nan")), "MaxDurationLimit must be a whole number"),
        (start(MaxDurationLimit=float("inf")), "MaxDurationLimit must be a whole number"),
        (start(CallbackURL="ftp://example.com/"), "CallbackURL must be an absolute http or https URL"),
        (start(Widht=1), "Widht is not a parameter of this action"),
        (start(Widht=None), "Widht is not a parameter of this action"),
        (start(**{"x" * 9000: 1}), "x" * 100 + " is not a parameter of this action"),
        (start(Output=[]), "Output must be a JSON object"),
        (start(StorageType="tape"), "StorageType must be 'cfs' or 'cos'"),
        (start(ManualStart="true"), "ManualStart must be true or false"),
        (start(ManualStart=1), "ManualStart must be true or false"),
        (start(PageTitle="a" * 257), "PageTitle must not be longer than 256 characters"),
        (start(PageTitle="a\nb"), "PageTitle must not contain line breaks"),
        (start(Headers={"Accept": "x"}), "Headers.Accept is not a parameter of this action"),
        (
            start(Headers={"UserAgent": "a\r\nX: hunter2"}),
            "Headers.UserAgent must consist of printable ASCII",
        ),
        (start(Headers={"UserAgent": "课"}), "Headers.UserAgent must consist of printable ASCII"),
        (start(Headers={"UserAgent": "a" * 513}), "Headers.UserAgent must not be longer than 512"),
        (start(Headers={"UserAgent": "a"}, Browser={"UserAgent": "b"}), "Headers.UserAgent and Browser.User"),
        (start(Output={"Cos": {"Bucket": 7}}), "Output.Cos.Bucket must be a string"),
        # An output that does not exist yet is checked all the same.
        (video(Muxer="hls"), NO_HLS),
        (video(Muxer="hls", EncryptKey=HEX, AuthUrl=AUTH), NO_HLS),
        (video(Muxer="hls", EncryptKey="0123456789abcdef", AuthUrl=AUTH, EncryptIv="0x" + HEX), NO_HLS),
        (video(Muxer="hls", EncryptKey="MDEyMzQ1Njc4OWFiY2RlZg==", AuthUrl=AUTH, EncryptIv=HEX), NO_HLS),
        (video(Muxer="hls", EncryptKey="", AuthUrl=AUTH), NO_HLS),
        (video(Muxer="flv"), "Output.Video.Muxer must be 'mp4' or 'hls'"),
        *((video(Fps=fps), "Output.Video.Fps must be in range [1, 60]") for fps in (0, 61)),
        (video(Fps=29.97), "Output.Video.Fps must be a whole number"),
        (video(Bitrate=49_999), "Output.Video.Bitrate must be in range [50000, 50000000]"),
        *((video(Crf=crf), "Output.Video.Crf must be in range [1, 51]") for crf in (0, 52)),
        (video(Crf=23, Bitrate=100_000), "Output.Video.Crf must not be set with Bitrate; leave out either"),
        *(
            (video(KeyframeInterval=interval), "Output.Video.KeyframeInterval must be in range [0.5, 10]")
            for interval in (0, 0.49, 10.1, float("nan"))
        ),
        (video(AudioBitrate=15_999), "Output.Video.AudioBitrate must be 0 or in range [16000, 512000]"),
        (video(AudioOnly="true"), "Output.Video.AudioOnly must be true or false"),
        (video(AudioOnly=True, VideoOnly=True), "Output.Video.VideoOnly must not be set with AudioOnly"),
        *(
            (video(AudioOnly=True, **{name: value}), f"Output.Video.{name} is of pictures, which AudioOnly")
            for name, value in {"Fps": 30, "Bitrate": 100_000, "Crf": 23, "KeyframeInterval": 2}.items()
        ),
        (
            video(VideoOnly=True, AudioBitrate=64_000),
            "Output.Video.AudioBitrate is of sound, which",
        ),
        (start(Priority="urgent"), "Priority must be 'high', 'normal' or 'low'"),
        *((start(QueueTimeout=s), "QueueTimeout must be in range [0, 86400]") for s in (-1, 86_401)),
        (start(OnError="stop"), "OnError must be 'reload', 'fail' or 'continue'"),
        (start(OnBlank=True), "OnBlank must be 'reload', 'fail' or 'continue'"),
        *((start(BlankTimeout=s), "BlankTimeout must be 0 or in range [1, 36000]") for s in (-0.5, 0.5)),
        *(
            (start(Output={"Video": {"AudioOnly": True}}, **{name: value}), f"{name} is about pictures")
            for name, value in {"OnBlank": "continue", "BlankTimeout": 30}.items()
        ),
        (start(Browser={"MediaDevices": "real"}), "Browser.MediaDevices must be 'deny' or 'fake'"),
        *(
            (
                video(Muxer="hls", EncryptKey=key, AuthUrl=AUTH),
                "Output.Video.EncryptKey must be 32 hexadecimal",
            )
            for key in ("hunter2", HEX + "0", HEX[1:], "课" * 16, "aHVudGVyMg==")
        ),
        (video(EncryptKey=HEX, AuthUrl=AUTH), "Output.Video.EncryptKey needs Muxer hls"),
        (video(Muxer="hls", EncryptKey=HEX), "Output.Video.AuthUrl must be set with EncryptKey"),
        (video(Muxer="hls", EncryptIv=HEX), "Output.Video.EncryptIv needs an EncryptKey"),
        (
            video(Muxer="hls", EncryptKey=HEX, AuthUrl=AUTH, EncryptIv=HEX[1:]),
            "Output.Video.EncryptIv must be 32 hexadecimal",
        ),
        (video(AuthUrl="ftp://example.com"), "Output.Video.AuthUrl must be an absolute http or https URL"),
        (video(AuthUrl='https://example.com/"'), "Output.Video.AuthUrl must not contain quotation marks"),
        (video(AuthUrl="https://example.com/" + "a" * 2048), "Output.Video.AuthUrl must not be longer"),
        (vod(), NO_VOD),
        *((vod(SubAppId=right), NO_VOD) for right in (1500007120, "1500007120", "")),
        *((vod(SubAppId=wrong), SUB_APP) for wrong in WRONG_SUB_APP_IDS),
        *((media(ExpireTime=t), NO_VOD) for t in ("", "2033-10-01T10:00:00Z", "2033-10-01T10:00:00+08:00")),
        *(
            (media(ExpireTime=t), MOMENT)
            for t in ("2033-10-01", "2033-13-01T10:00:00Z", "2033-10-01T10:00:00")
        ),
        (media(StorageRegion="ap-shanghai", ClassId=1, SourceContext="x" * 250), NO_VOD),
        (media(StorageRegion="Shanghai!"), "Output.Vod.MediaInfo.StorageRegion must consist of at most 32"),
        (media(ClassId="1"), "Output.Vod.MediaInfo.ClassId must be a number"),
        (media(ClassId=-1), "Output.Vod.MediaInfo.ClassId must be in range [0, 2147483647]"),
        *(
            (media(MediaName=name), "Output.Vod.MediaInfo.MediaName must not be blank, 'null'")
            for name in (" ", "null", "undefined")
        ),
        (media(SourceContext="x" * 251), "Output.Vod.MediaInfo.SourceContext must not be longer than 250"),
        (vod(ProcedureInfo={"Procedure": "", "SessionContext": "x" * 1000}), NO_VOD),
        (
            vod(ProcedureInfo={"SessionContext": "x" * 1001}),
            "Output.Vod.ProcedureInfo.SessionContext must not be longer than 1000",
        ),
        (vod(WebPageRecordInfo={}), "Output.Vod.WebPageRecordInfo is not a parameter"),
    ],
)
def test_a_wrong_field_is_named(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        StartParameters.parse(data)
    assert str(caught.value).startswith(sentence)
    assert "hunter2" not in str(caught.value)


def test_what_is_done_about_a_page_without_content() -> None:
    assert StartParameters.parse(start()).page_policy() == PagePolicy()
    chosen = StartParameters.parse(start(OnError="fail", OnBlank="reload", BlankTimeout=0)).page_policy()
    assert chosen == PagePolicy(on_error="fail", on_blank="reload", blank_after_s=None)


def test_nothing_secret_is_shown() -> None:
    data = start(CallbackURL=URL, Browser={"Headers": {"Authorization": "hunter2"}})
    parameters = StartParameters.parse(data)
    for shown in (repr(parameters), str(parameters), repr(parameters.Browser)):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("wanted", "configured", "chosen"),
    [
        ({}, ("cfs",), "cfs"),
        ({}, ("cos", "cfs"), "cfs"),
        ({}, ("cos",), "cos"),
        ({"StorageType": "cos"}, ("cfs", "cos"), "cos"),
    ],
)
def test_where_media_rests(wanted: dict[str, Any], configured: Any, chosen: str) -> None:
    assert StartParameters.parse(start(**wanted)).storage_type(configured) == chosen


def test_a_storage_that_is_not_there() -> None:
    with pytest.raises(InvalidParam, match=r"^StorageType cos is not configured here; use cfs"):
        StartParameters.parse(start(StorageType="cos")).storage_type(("cfs",))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "TaskID missing"),
        ({"TaskID": None}, "TaskID missing"),
        ({"TaskID": ""}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a" * 65}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a.b"}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a>"}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "a\n"}, "TaskID must consist of 1 to 64"),
        ({"TaskID": "é"}, "TaskID must consist of 1 to 64"),
        ({"TaskID": 7}, "TaskID must be a string"),
    ],
)
def test_task_ids_that_cannot_be(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        TaskParameters.parse(data)
    assert str(caught.value).startswith(sentence)
    if "TaskID" in data and data["TaskID"] is not None:
        with pytest.raises(InvalidParam, match=r"^TaskID must"):
            StartParameters.parse(start(**data))
