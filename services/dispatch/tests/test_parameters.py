"""What `Data` may hold: defaults, ranges, and a sentence for each mistake."""

from typing import Any

import pytest

from panoreel.contracts.browser import BrowserSettings
from panoreel.contracts.events import (
    ClipRange,
    HlsEncryption,
    OutputRequest,
    PagePolicy,
    ThumbnailRequest,
    VodRequest,
)
from panoreel.contracts.media import EncoderParameters
from panoreel.dispatch.parameters import (
    ClipParameters,
    Deployment,
    InvalidParam,
    StartParameters,
    TaskParameters,
)
from panoreel.dispatch.parameters.encryption import HlsKeyMode

URL = "https://example.com/class?token=hunter2"
BUCKET = Deployment()
VOD = Deployment(targets=("cos", "vod"))


def start(**data: Any) -> dict[str, Any]:
    return {"RecordURL": URL} | data


def test_only_the_url_is_required() -> None:
    parameters = StartParameters.parse(start())
    assert parameters.RecordURL == URL
    assert (parameters.Width, parameters.Height, parameters.MaxDurationLimit) == (0, 0, 0)
    assert parameters.Output.request(BUCKET) == OutputRequest()
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
    assert parameters.Output.request(BUCKET) == OutputRequest(
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


def thumbnails(**fields: Any) -> dict[str, Any]:
    return start(Output={"Thumbnails": fields})


HEX = "0123456789abcdef" * 2
AUTH = "https://example.com/key?token=hunter2"
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
        (video(Muxer="flv"), "Output.Video.Muxer must be 'mp4' or 'hls'"),
        (video(Muxers=[]), "Output.Video.Muxers must have at least 1 entry"),
        (video(Muxers="hls"), "Output.Video.Muxers must be a list"),
        (video(Muxers=["mp4", "flv"]), "Output.Video.Muxers[1] must be 'mp4' or 'hls'"),
        (video(Muxers=["hls", "hls"]), "Output.Video.Muxers must not name a format twice"),
        (video(Muxers=["hls"], Muxer="mp4"), "Output.Video.Muxer must be one of Muxers"),
        (video(Muxers=["mp4"], EncryptKey=HEX, AuthUrl=AUTH), "Output.Video.EncryptKey needs Muxer hls"),
        (thumbnails(Interval=0.9), "Output.Thumbnails.Interval must be in range [1, 3600]"),
        (thumbnails(Interval=3601), "Output.Thumbnails.Interval must be in range [1, 3600]"),
        (thumbnails(Width=15), "Output.Thumbnails.Width must be in range [16, 640]"),
        (thumbnails(Width=641), "Output.Thumbnails.Width must be in range [16, 640]"),
        (thumbnails(Height=90), "Output.Thumbnails.Height is not a parameter"),
        (start(Output={"Thumbnails": True}), "Output.Thumbnails must be a JSON object"),
        (
            start(Output={"Video": {"AudioOnly": True}, "Thumbnails": {}}),
            "Output.Thumbnails are of pictures, which AudioOnly leaves out",
        ),
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
        *((vod(SubAppId=wrong), SUB_APP) for wrong in WRONG_SUB_APP_IDS),
        *(
            (media(ExpireTime=t), MOMENT)
            for t in ("2033-10-01", "2033-13-01T10:00:00Z", "2033-10-01T10:00:00")
        ),
        (media(StorageRegion="Shanghai!"), "Output.Vod.MediaInfo.StorageRegion must consist of at most 32"),
        (media(ClassId="1"), "Output.Vod.MediaInfo.ClassId must be a number"),
        (media(ClassId=-1), "Output.Vod.MediaInfo.ClassId must be in range [0, 2147483647]"),
        *(
            (media(MediaName=name), "Output.Vod.MediaInfo.MediaName must not be blank, 'null'")
            for name in (" ", "null", "undefined")
        ),
        (media(SourceContext="x" * 251), "Output.Vod.MediaInfo.SourceContext must not be longer than 250"),
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


@pytest.mark.parametrize(
    ("output", "asked"),
    [
        ({"Video": {"Muxer": "hls"}}, {"muxers": ("hls",)}),
        ({"Video": {"Muxers": None, "Muxer": "hls"}}, {"muxers": ("hls",)}),
        ({"Video": {"Muxers": ["hls", "mp4"]}}, {"muxers": ("hls", "mp4")}),
        ({"Video": {"Muxers": ["mp4", "hls"], "Muxer": "hls"}}, {"muxers": ("mp4", "hls")}),
        ({"Video": {"AuthUrl": AUTH}}, {}),
        ({"Thumbnails": {}}, {"thumbnails": ThumbnailRequest(interval_s=10, width=160)}),
        (
            {"Thumbnails": {"Interval": 2.5, "Width": 640}, "Video": {"VideoOnly": True}},
            {"thumbnails": ThumbnailRequest(interval_s=2.5, width=640)},
        ),
        ({"Thumbnails": None}, {}),
    ],
)
def test_formats_and_thumbnails(output: dict[str, Any], asked: dict[str, Any]) -> None:
    assert StartParameters.parse(start(Output=output)).Output.request(BUCKET) == OutputRequest(**asked)


# Key text and bytes of the specification of encrypted HLS, §5.
SAMPLE_KEY, ASCII_KEY = "21834cca41778803e1afba3f41e70c90", "0123456789abcdef"
NO_KEY = "Output.Video.EncryptKey must be 32 hexadecimal digits, 16 ASCII characters, or 16 bytes in base64"


@pytest.mark.parametrize(
    ("text", "standard", "legacy"),
    [
        (SAMPLE_KEY, SAMPLE_KEY, "32313833346363613431373738383033"),
        (SAMPLE_KEY.upper(), SAMPLE_KEY, b"21834CCA41778803".hex()),
        (ASCII_KEY, ASCII_KEY.encode().hex(), ASCII_KEY.encode().hex()),
        ("MDEyMzQ1Njc4OWFiY2RlZg==", ASCII_KEY.encode().hex(), b"MDEyMzQ1Njc4OWFi".hex()),
        ("课" * 16, None, ("课" * 16).encode()[:16].hex()),
        ("shortkey12", None, None),
        (HEX + "0", None, HEX[:16].encode().hex()),
        (HEX[1:], None, HEX[1:17].encode().hex()),
        ("aHVudGVyMg==", None, None),
    ],
)
def test_a_key_by_its_text(text: str, standard: str | None, legacy: str | None) -> None:
    asked = StartParameters.parse(video(Muxer="hls", EncryptKey=text, AuthUrl=AUTH)).Output.Video
    modes: tuple[tuple[HlsKeyMode, str | None, str], ...] = (
        ("standard", standard, NO_KEY),
        ("legacy", legacy, "Output.Video.EncryptKey must have at least 16 bytes"),
    )
    for mode, expected, sentence in modes:
        if expected:
            key = asked.key(mode)
            assert key
            assert key.hex() == expected
            continue
        with pytest.raises(InvalidParam) as caught:
            asked.key(mode)
        assert str(caught.value).startswith(sentence)
        assert text not in str(caught.value)


def test_what_players_are_told() -> None:
    asked = {"Muxer": "hls", "EncryptKey": SAMPLE_KEY, "AuthUrl": AUTH}
    iv = "000102030405060708090A0b0c0d0e0f"
    for text in (iv, f"0x{iv}", f"0X{iv}"):
        told = StartParameters.parse(video(**asked, EncryptIv=text)).Output.request(BUCKET).encryption
        assert told == HlsEncryption(auth_url=AUTH, iv=iv.lower())
    parameters = StartParameters.parse(video(**asked))
    drawn = {str(parameters.Output.request(BUCKET).encryption) for _ in range(3)}
    assert len(drawn) == 3
    unencrypted = StartParameters.parse(video(Muxer="hls", EncryptKey="", AuthUrl=AUTH)).Output
    assert (unencrypted.Video.key("standard"), unencrypted.request(BUCKET).encryption) == (None, None)


CONTEXT = {"media_name": "m", "source_context": "x" * 250, "session_context": "y" * 1000, "procedure": "p"}
IN_SHANGHAI = Deployment(targets=("cos", "vod"), vod_sub_app_id=7, vod_storage_region="ap-shanghai")
BY_DEFAULT = Deployment(targets=("vod",), vod_storage_region="default")


@pytest.mark.parametrize(
    ("output", "deployment", "asked"),
    [
        ({}, VOD, None),
        ({"Vod": None}, VOD, None),
        ({"Vod": {}}, VOD, {}),
        ({"Vod": {"SubAppId": "1500007120"}}, VOD, {"sub_app_id": 1500007120}),
        ({"Vod": {"SubAppId": ""}}, IN_SHANGHAI, {"sub_app_id": 7, "storage_region": "ap-shanghai"}),
        ({}, IN_SHANGHAI, {"sub_app_id": 7, "storage_region": "ap-shanghai"}),
        (
            {"Cos": {"Bucket": "b"}, "Vod": {"SubAppId": 8, "MediaInfo": {"StorageRegion": "ap-tokyo"}}},
            IN_SHANGHAI,
            {"sub_app_id": 8, "storage_region": "ap-tokyo"},
        ),
        ({}, BY_DEFAULT, {}),
        ({"Vod": {"MediaInfo": {"MediaName": "", "ClassId": 3}}}, VOD, {"class_id": 3}),
        ({"Vod": {"ProcedureInfo": {"Procedure": "", "SessionContext": ""}}}, VOD, {}),
        *(
            ({"Vod": {"MediaInfo": {"ExpireTime": t}}}, VOD, {"expire_time": t})
            for t in ("2033-10-01T10:00:00Z", "2033-10-01T10:00:00+08:00")
        ),
        (
            {
                "Vod": {
                    "MediaInfo": {"MediaName": "m", "SourceContext": "x" * 250},
                    "ProcedureInfo": {"Procedure": "p", "SessionContext": "y" * 1000},
                }
            },
            VOD,
            CONTEXT,
        ),
    ],
)
def test_what_vod_is_asked(
    output: dict[str, Any], deployment: Deployment, asked: dict[str, Any] | None
) -> None:
    vod = StartParameters.parse(start(Output=output)).Output.request(deployment).vod
    assert vod == (None if asked is None else VodRequest(**asked))


@pytest.mark.parametrize(
    ("output", "deployment", "sentence"),
    [
        ({"Vod": {}}, BUCKET, "Output.Vod is not configured here"),
        ({}, Deployment(targets=("vod",)), "Output.Vod missing"),
        ({"Vod": {}, "Thumbnails": {}}, VOD, "Output.Thumbnails are stored in a bucket"),
        ({"Thumbnails": {}}, IN_SHANGHAI, "Output.Thumbnails are stored in a bucket"),
    ],
)
def test_where_no_result_can_go(output: dict[str, Any], deployment: Deployment, sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        StartParameters.parse(start(Output=output)).Output.request(deployment)
    assert str(caught.value).startswith(sentence)


def clip(*ranges: Any, **data: Any) -> dict[str, Any]:
    return {
        "TaskID": "t",
        "Ranges": [dict(zip(("Start", "End"), cut, strict=False)) for cut in ranges],
    } | data


def test_ranges_up_to_the_end_of_what_is_recorded() -> None:
    parameters = ClipParameters.parse(clip((8.5, 10.01), (0, 1.25), (0, 1)))
    samples = 480_511  # 10.0106 s
    ranges = parameters.ranges(samples)
    assert ranges[0] == ClipRange(start_s=8.5, end_s=10.01)
    assert len(ranges) == 3
    late = ClipParameters.parse(clip((1, 2), (3, 10.011)))
    with pytest.raises(InvalidParam, match=r"^Ranges\[1\].End must not be after 10.01, the seconds recorded"):
        late.ranges(samples)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"TaskID": "t"}, "Ranges missing"),
        ({"Ranges": [{"Start": 0, "End": 1}]}, "TaskID missing"),
        (clip(), "Ranges must have at least 1 entry"),
        (clip(*[(0, 1)] * 101), "Ranges must not have more than 100 entries"),
        (clip(Ranges={"Start": 0, "End": 1}), "Ranges must be a list"),
        (clip(Ranges=[[0, 1]]), "Ranges[0] must be a JSON object"),
        (clip((0, 1), (1,)), "Ranges[1].End missing"),
        (clip(("0", 1)), "Ranges[0].Start must be a number"),
        (clip((-0.1, 1)), "Ranges[0].Start must be in range [0, 100000]"),
        (clip((0, float("nan"))), "Ranges[0].End must be in range [0, 100000]"),
        (clip((0, 1), (2, 2)), "Ranges[1].End must be after Start"),
        (clip((0, 1), (2, 1.5)), "Ranges[1].End must be after Start"),
        (clip((0, 1), Range=1), "Range is not a parameter"),
        (clip((0, 1), ClipID="a.b"), "ClipID must consist of 1 to 64"),
        (clip((0, 1), CallbackURL="x"), "CallbackURL must be an absolute http or https URL"),
        (clip((0, 1), Output={"Video": {"Muxer": "hls"}}), "Output.Video.Muxer must be 'mp4'"),
        (clip((0, 1), Output={"Video": {"Crf": 23}}), "Output.Video.Crf is not a parameter"),
        (clip((0, 1), Output={"Thumbnails": {}}), "Output.Thumbnails is not a parameter"),
        (clip((0, 1), Output={"Vod": {"SubAppId": "x"}}), "Output.Vod.SubAppId must be a whole number"),
    ],
)
def test_a_wrong_field_of_a_clip_is_named(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParam) as caught:
        ClipParameters.parse(data)
    assert str(caught.value).startswith(sentence)


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
