"""What becomes of `Data.Output`: in the event, in the secrets, and in what is told of the task."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from panoreel.contracts import commands, events
from panoreel.contracts.envelope import Cause
from panoreel.dispatch.settings import DispatchSettings
from panoreel.eventlog.log import open_log
from panoreel.eventlog.secrets import SecretStore
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer

KEY_TEXT = "21834cca41778803e1afba3f41e70c90"
AUTH_URL = "https://keys.example.com/enc.key?lesson=1"
HLS = {"Muxers": ["mp4", "hls"], "EncryptKey": KEY_TEXT, "AuthUrl": AUTH_URL}
VOD = {"MediaInfo": {"ClassId": 3}, "ProcedureInfo": {"Procedure": ""}}
FILE_ID = "9" * 19


@pytest.fixture
def dispatch(module_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path) -> Iterator[Dispatch]:
    """With the old way of reading keys, and VOD."""
    settings = {
        "PANOREEL_HLS_KEY_MODE": "legacy",
        "PANOREEL_TARGETS": '["cos", "vod"]',
        "PANOREEL_SECRET_KEYS": json.dumps([key := Fernet.generate_key().decode()]),
    }
    running = run_dispatch(module_nats_server.url, postgres_dsn, tmp_path, key, **settings)
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0
    assert "Traceback" not in running.log.read_text()


async def test_from_the_request_to_what_is_told(dispatch: Dispatch, module_nats_server: NatsServer) -> None:
    request = {"TaskID": "film", "Output": {"Video": HLS, "Thumbnails": {"Interval": 5}}}
    assert [dispatch.start(**request) for _ in range(3)] == ["film"] * 3, "although the IV is drawn"
    short = dispatch.act(
        "Start", RecordURL="http://127.0.0.1:1/", Output={"Video": HLS | {"EncryptKey": "short"}}
    )
    assert short["ErrorMessage"].startswith("Output.Video.EncryptKey must have at least 16 bytes")

    live = events.StoredFile(kind="live", filename="film-live.m3u8", url="http://b/film-live.m3u8")
    pieces = events.Output(kind="hls", bytes=9, duration_s=8.5, frames=1, pieces=(0, 2, 1))
    video = events.Video(filename="f.mp4", bytes=1, duration_s=1, url="http://b/f.mp4", file_id=FILE_ID)
    poster = events.StoredFile(kind="poster", filename="film.jpg", url="http://b/film.jpg")
    async with open_log(module_nats_server.url, "test") as log:
        (created,) = [stored.event async for stored in log.history("film")]
        assert isinstance(created, events.TaskCreated)
        encryption = created.output.encryption
        assert encryption
        assert encryption.auth_url == AUTH_URL
        secrets = await SecretStore(log, [dispatch.key]).unseal(created.secrets_key)
        assert secrets.hls_key == b"21834cca41778803".hex()
        for command in (
            commands.ReportLive(events.LivePublished(file=live)),
            commands.Stop("api"),
            commands.ReportPackaged(events.OutputsPackaged(outputs=(pieces,))),
            commands.ReportUploaded(events.OutputsUploaded(videos=(video,), files=(poster,))),
        ):
            await log.execute("film", command, Cause("test"))
    dispatch.act("Stop", TaskID="film")  # its answer tells that all of this can be read
    detail = dispatch.act("DescribeDetail", TaskID="film")
    asked = detail["Param"]["Output"]
    assert (asked["Video"]["Muxer"], asked["Video"]["Muxers"]) == ("mp4", ["mp4", "hls"])
    assert (asked["Video"]["AuthUrl"], asked["Video"]["EncryptIv"]) == (AUTH_URL, encryption.iv)
    assert asked["Thumbnails"] == {"Interval": 5, "Width": 160}
    assert [(output["Kind"], output["Pieces"]) for output in detail["Outputs"]] == [("hls", 3)]
    assert detail["Result"]["Files"] == [
        {"Kind": "live", "Filename": "film-live.m3u8", "FileURL": "http://b/film-live.m3u8"},
        {"Kind": "poster", "Filename": "film.jpg", "FileURL": "http://b/film.jpg"},
    ]
    [described] = dispatch.act("Describe", TaskID="film")["Result"]["Videos"]
    assert described["FileId"] == FILE_ID
    for shown in (detail, *dispatch.act("List", Status="all")["Tasks"]):
        assert KEY_TEXT not in str(shown)
    assert KEY_TEXT not in dispatch.log.read_text()

    task_id = dispatch.start(Output={"Vod": VOD, "Cos": {"Bucket": "b"}})
    asked = dispatch.act("DescribeDetail", TaskID=task_id)["Param"]["Output"]
    nothing: dict[str, Any] = {
        "MediaName": None,
        "ExpireTime": None,
        "StorageRegion": None,
        "SourceContext": None,
    }
    assert asked["Vod"] == {
        "MediaInfo": nothing | {"ClassId": 3},
        "ProcedureInfo": {"Procedure": None, "SessionContext": None},
        "SubAppId": None,
    }


def test_defaults_of_vod_need_vod() -> None:
    needed: dict[str, Any] = {
        "nats_url": "nats://127.0.0.1:1",
        "postgres_dsn": "postgresql://127.0.0.1:1/x",
        "secret_keys": [Fernet.generate_key().decode()],
    }
    for name, value in {"vod_sub_app_id": 1, "vod_storage_region": "default"}.items():
        with pytest.raises(ValidationError, match='add "vod" to PANOREEL_TARGETS'):
            DispatchSettings(**needed | {name: value})
        settings = DispatchSettings(**needed | {name: value, "targets": ("vod",)})
        assert getattr(settings.deployment, name) == value
