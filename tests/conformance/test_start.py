"""What may be asked of a recording: every parameter of both API descriptions, its default, range and error.

Documents 1219/66139 of Tencent Cloud. Each row is one rule.
"""

from typing import Any

import pytest

from tests.conformance.conftest import Api

URL = "http://127.0.0.1:1/class"

CHINESE_SAMPLE: dict[str, Any] = {
    "RecordURL": "https://web-record-1259648581.cos.ap-chengdu.myqcloud.com/test/ponyo.mp4",
    "Width": 1280,
    "Height": 720,
    "CallbackURL": "http://127.0.0.1:1/webrecord/callback",
    "MaxDurationLimit": 3600,
    "Output": {
        "Cos": {
            "Domain": "abc.xxx.com",
            "Bucket": "webrecord-1234589",
            "Region": "ap-chengdu",
            "TargetDir": "11234/",
            "TargetName": "record-file-name.mp4",
        }
    },
}
VOD_SAMPLE = {
    "MediaInfo": {
        "MediaName": "test",
        "ExpireTime": "2033-10-01T10:00:00Z",
        "StorageRegion": "ap-shanghai",
        "ClassId": 1,
    },
    "ProcedureInfo": {"Procedure": "flow", "SessionContext": "me"},
    "SubAppId": 1500007120,
}
HLS_SAMPLE = {
    "Muxer": "hls",
    "EncryptKey": "21834cca41778803e1afba3f41e70c90",
    "AuthUrl": "https://keys.example.com/enc.key",
}


def with_video(**video: Any) -> dict[str, Any]:
    return {"Output": {"Video": video}}


def with_cos(**cos: Any) -> dict[str, Any]:
    return {"Output": {"Cos": cos}}


def with_media_info(**info: Any) -> dict[str, Any]:
    return {"Output": {"Vod": {"MediaInfo": info}}}


ACCEPTED: list[dict[str, Any]] = [
    {},
    CHINESE_SAMPLE,
    {"ManualStart": False},
    {"ManualStart": True},
    # 0 stands for the default; odd sizes are allowed.
    *({side: value} for side in ("Width", "Height") for value in (0, 1, 721, 2560, 1280.0)),
    *({"MaxDurationLimit": value} for value in (0, 1, 36000)),
    {"CallbackURL": ""},
    {"CallbackURL": "http://127.0.0.1:1/"},
    {"StorageType": "cfs"},
    {"StorageType": "cos"},
    {"Headers": {"UserAgent": "Panoreel's visitor"}},
    {"PageTitle": "课堂"},
    {"Output": {}},
    {"Output": {"Cos": {}, "Video": {}}},
    # The descriptions promise mp4 as the default.
    with_video(),
    with_video(Muxer="mp4"),
    with_cos(Bucket="another-1250000000", Region="ap-shanghai"),
    with_cos(Domain="https://cdn.example.com"),
    with_cos(TargetDir="a/b/", TargetName="课.mp4"),
    with_video(Fps=60, Crf=30, KeyframeInterval=4, AudioBitrate=64_000),
    with_video(Bitrate=2_000_000, VideoOnly=True) | {"Width": 2560, "Height": 2560},
    with_video(AudioOnly=True, AudioBitrate=0),
    # HLS and its encryption, both formats at once, thumbnails.
    with_video(Muxer="hls"),
    {"Output": {"Video": HLS_SAMPLE}},
    *(with_video(**HLS_SAMPLE, EncryptIv=f"{prefix}{'0f' * 16}") for prefix in ("", "0x")),
    with_video(Muxers=["hls", "mp4"]),
    {"Output": {"Thumbnails": {"Interval": 1.5, "Width": 320}}},
    # VOD, alone or with a bucket, which it goes before; what is empty is absent.
    {"Output": {"Vod": VOD_SAMPLE, "Video": HLS_SAMPLE}},
    {
        "Output": {
            "Vod": {"ProcedureInfo": {"Procedure": ""}, "SubAppId": "1500007120"},
            **CHINESE_SAMPLE["Output"],
        }
    },
    {"Priority": "high", "QueueTimeout": 3600},
    {"OnError": "continue", "OnBlank": "fail", "BlankTimeout": 1.5, "Browser": {"MediaDevices": "fake"}},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"RecordURL": None}, "RecordURL"),
    ({"RecordURL": ""}, "RecordURL"),
    ({"RecordURL": 7}, "RecordURL"),
    ({"RecordURL": "example.com"}, "RecordURL"),
    ({"RecordURL": "ftp://example.com/"}, "RecordURL"),
    ({"RecordURL": "https://example.com/a b"}, "RecordURL"),
    *(({"RecordURL": f"{scheme}:x"}, "RecordURL") for scheme in ("file", "data", "javascript", "chrome")),
    ({"ManualStart": "true"}, "ManualStart"),
    ({"ManualStart": 1}, "ManualStart"),
    *(
        ({side: value}, f"{side} must be")
        for side in ("Width", "Height")
        for value in (-1, 2561, "1280", True, 1.5)
    ),
    *(({"MaxDurationLimit": value}, "MaxDurationLimit must be") for value in (-1, 36001, "60", False, 0.5)),
    ({"CallbackURL": "callbacks.example.com"}, "CallbackURL"),
    ({"CallbackURL": 7}, "CallbackURL"),
    ({"StorageType": "s3"}, "StorageType"),
    ({"StorageType": ""}, "StorageType"),
    ({"Headers": {"UserAgent": "a\r\nb"}}, "Headers.UserAgent"),
    ({"Headers": {"UserAgent": 7}}, "Headers.UserAgent"),
    ({"Headers": {"Cookie": "a=b"}}, "Headers.Cookie"),
    ({"Headers": "x"}, "Headers"),
    ({"PageTitle": 7}, "PageTitle"),
    ({"PageTitle": "x" * 300}, "PageTitle"),
    ({"Output": "x"}, "Output"),
    ({"Output": {"S3": {}}}, "Output.S3"),
    (with_video(Muxer="webm"), "Output.Video.Muxer"),
    (with_video(Muxer=""), "Output.Video.Muxer"),
    (with_video(Muxers=[]), "Output.Video.Muxers must have"),
    (with_video(Muxers=["mp4", "mp4"]), "Output.Video.Muxers must not name"),
    (with_video(Muxers=["mp4"], Muxer="hls"), "Output.Video.Muxer must be one of Muxers"),
    ({"Output": {"Thumbnails": {"Width": 1}}}, "Output.Thumbnails.Width must be"),
    ({"Output": {"Thumbnails": {}, "Vod": {}}}, "Output.Thumbnails are stored in a bucket"),
    ({"Output": {"Thumbnails": {}, "Video": {"AudioOnly": True}}}, "Output.Thumbnails are of pictures"),
    (with_video(Fps=61), "Output.Video.Fps must be"),
    (with_video(Bitrate=2_000_000, Crf=30), "Output.Video.Crf must not be set with Bitrate"),
    (with_video(KeyframeInterval=0.1), "Output.Video.KeyframeInterval must be"),
    (with_video(AudioBitrate=1), "Output.Video.AudioBitrate must be"),
    (with_video(AudioOnly=True, VideoOnly=True), "Output.Video.VideoOnly must not be set with AudioOnly"),
    (with_video(AudioOnly=True, Fps=30), "Output.Video.Fps is of pictures"),
    (with_video(VideoOnly=True, AudioBitrate=64_000), "Output.Video.AudioBitrate is of sound"),
    ({"Priority": "highest"}, "Priority must be"),
    ({"QueueTimeout": 86_401}, "QueueTimeout must be"),
    ({"OnError": "ignore"}, "OnError must be"),
    ({"OnBlank": ""}, "OnBlank must be"),
    ({"BlankTimeout": "30"}, "BlankTimeout must be"),
    ({"Browser": {"MediaDevices": "real"}}, "Browser.MediaDevices must be"),
    (with_video(Muxer="hls", EncryptKey="21834cca41778803e1afba3f41e70c90"), "Output.Video.AuthUrl"),
    (with_video(**{**HLS_SAMPLE, "EncryptKey": "short"}), "Output.Video.EncryptKey"),
    (with_video(**{**HLS_SAMPLE, "AuthUrl": "nowhere"}), "Output.Video.AuthUrl"),
    (with_video(**{**HLS_SAMPLE, "EncryptIv": "xyz"}), "Output.Video.EncryptIv"),
    (with_media_info(MediaName="null"), "Output.Vod.MediaInfo.MediaName"),
    (with_media_info(MediaName=" "), "Output.Vod.MediaInfo.MediaName"),
    (with_media_info(ExpireTime="tomorrow"), "Output.Vod.MediaInfo.ExpireTime"),
    (with_media_info(ClassId="one"), "Output.Vod.MediaInfo.ClassId"),
    (with_media_info(SourceContext="x" * 251), "Output.Vod.MediaInfo.SourceContext"),
    (
        {"Output": {"Vod": {"ProcedureInfo": {"SessionContext": "x" * 1001}}}},
        "Output.Vod.ProcedureInfo.SessionContext",
    ),
    ({"Output": {"Vod": {"SubAppId": []}}}, "Output.Vod.SubAppId"),
    (with_cos(TargetDir="../up"), "Output.Cos.TargetDir"),
    (with_cos(TargetName="a/../b"), "Output.Cos.TargetName"),
    # Media rests there until its result is made.
    (with_cos(TargetDir="/raw/x"), "Output.Cos.TargetDir"),
    ({"TaskID": "raw", **with_cos(TargetName="segments/other/1/0")}, "Output.Cos.TargetDir"),
    (with_cos(Bucket="Not A Bucket"), "Output.Cos.Bucket"),
    (with_cos(Region="!"), "Output.Cos.Region"),
    (with_cos(Domain="a b"), "Output.Cos.Domain"),
    (with_cos(TargetDir=7), "Output.Cos.TargetDir"),
    ({"Widht": 640}, "Widht is not a parameter"),
]


@pytest.mark.parametrize("data", ACCEPTED, ids=str)
def test_accepted(api: Api, data: dict[str, Any]) -> None:
    answer = api.act("Start", **({"RecordURL": URL} | data))
    assert set(answer) == {"TaskID"}, answer
    assert api.act("Describe", TaskID=answer["TaskID"])["Status"] == "normal"


@pytest.mark.parametrize(("data", "beginning"), REFUSED, ids=str)
def test_refused(api: Api, data: dict[str, Any], beginning: str) -> None:
    answer = api.act("Start", **({"RecordURL": URL} | data))
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"].startswith(beginning), answer


def test_the_record_url_is_required(api: Api) -> None:
    assert api.act("Start", Width=640) == {"ErrorCode": "InvalidParam", "ErrorMessage": "RecordURL missing"}


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, {"Width": 1280, "Height": 720, "MaxDurationLimit": 21600}),
        ({"Width": 0, "Height": 0, "MaxDurationLimit": 0}, {"Width": 1280, "Height": 720}),
        ({"Width": 641, "Height": 361}, {"Width": 641, "Height": 361}),
    ],
    ids=str,
)
def test_defaults(api: Api, asked: dict[str, Any], shown: dict[str, Any]) -> None:
    parameters = api.act("DescribeDetail", TaskID=api.start(**asked))["Param"]
    assert parameters | shown == parameters
