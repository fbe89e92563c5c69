"""What VOD's emulator holds a request to be worth, by the test vectors and by the published SDK."""

import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.vod.v20180717 import models
from tencentcloud.vod.v20180717.vod_client import VodClient

from panoreel.blobs import s3
from panoreel.blobs.errors import StoreRefused
from panoreel.blobs.places import ObjectPlace, StoreAccess
from tests.emulators import tc3
from tests.emulators.cos import REGION
from tests.emulators.vod import VodEmulator
from tests.servers.seaweed import Seaweed

TIMESTAMP = 1615451398
JSON = "application/json"
HOST = "vod.tencentcloudapi.com"
APPLY = '{"MediaType":"mp4","MediaName":"test","SubAppId":1500007120}'
WITH_ACTION = "content-type;host;x-tc-action"


@pytest.fixture
def emulator(seaweed: Seaweed) -> Iterator[VodEmulator]:
    with VodEmulator(seaweed).running() as running:
        yield running


@pytest.mark.parametrize(
    ("body", "content_type", "host", "signed", "signature"),
    [
        pytest.param(
            *(APPLY, JSON, HOST, "content-type;host"),
            "fd8e912080a54b83b3d2f6e018595c6a838f6a7363041501d3f475cc12f1a3a7",
            id="T1",
        ),
        pytest.param(
            *(APPLY, f"{JSON}; charset=utf-8", HOST, WITH_ACTION),
            "fe27a6322094f78999ae52191520ee418ba9660eb62915babfe0babc0b1437c9",
            id="T2",
        ),
        pytest.param(
            *('{"MediaType":"m3u8","MediaName":"课堂"}', f"{JSON}; charset=utf-8", HOST, WITH_ACTION),
            "bf7cedbe37fb38668e2ffdddb431fdabbf53103a09d14a9fdea1972a287a7d81",
            id="T3",
        ),
        pytest.param(
            '{"VodSessionKey":"demo-session-key","SubAppId":1500007120}',
            *(JSON, "127.0.0.1:9009", "content-type;host"),
            "183b31901fa5cfde2fbf435dfbc4b0f1bae7b83cfba26dc3834fb62ec4672470",
            id="T4",
        ),
    ],
)
def test_signatures(body: str, content_type: str, host: str, signed: str, signature: str) -> None:
    keys = (VodEmulator.secret_id, VodEmulator.secret_key)
    scope = f"Credential={keys[0]}/2021-03-11/vod/tc3_request"
    headers = {
        "content-type": content_type,
        "host": host,
        "x-tc-action": "ApplyUpload",
        "x-tc-timestamp": str(TIMESTAMP),
        "authorization": f"TC3-HMAC-SHA256 {scope}, SignedHeaders={signed}, Signature={signature}",
    }
    tc3.verify(tc3.SignedRequest(headers, body.encode()), *keys, TIMESTAMP + 300)
    for request, key, now_s, code in (
        (tc3.SignedRequest(headers, body.encode() + b" "), keys[1], TIMESTAMP, "SignatureFailure"),
        (
            tc3.SignedRequest(headers | {"host": "other"}, body.encode()),
            keys[1],
            TIMESTAMP,
            "SignatureFailure",
        ),
        (tc3.SignedRequest(headers, body.encode()), "wrong", TIMESTAMP, "SignatureFailure"),
        (tc3.SignedRequest(headers, body.encode()), keys[1], TIMESTAMP + 301, "SignatureExpire"),
        (tc3.SignedRequest({}, body.encode()), keys[1], TIMESTAMP, "InvalidAuthorization"),
    ):
        with pytest.raises(tc3.Unsigned, match=code):
            tc3.verify(request, keys[0], key, now_s)


def sdk(emulator: VodEmulator, secret_key: str = VodEmulator.secret_key) -> VodClient:
    http = HttpProfile(protocol="http", endpoint=emulator.endpoint.removeprefix("http://"))
    credential = Credential(emulator.secret_id, secret_key)
    return VodClient(credential, "ap-guangzhou", ClientProfile(httpProfile=http))


def apply_request(**fields: object) -> models.ApplyUploadRequest:
    request = models.ApplyUploadRequest()
    request._deserialize({"MediaType": "mp4"} | fields)
    return request


def test_the_published_sdk_gets_a_media_file(emulator: VodEmulator) -> None:
    client = sdk(emulator)
    reserved = client.ApplyUpload(apply_request(MediaName="课堂", SubAppId=1500007120))
    keys = reserved.TempCertificate
    assert reserved.StorageRegion == REGION
    assert time.time() < keys.ExpiredTime
    commit = models.CommitUploadRequest()
    commit.VodSessionKey = reserved.VodSessionKey
    with pytest.raises(TencentCloudSDKException, match="ResourceNotFound"):
        client.CommitUpload(commit)
    access = StoreAccess(
        endpoint=emulator.door.endpoint,
        region=reserved.StorageRegion,
        access_key=SecretStr(keys.SecretId),
        secret_key=SecretStr(keys.SecretKey),
        session_token=SecretStr(keys.Token),
    )
    place = ObjectPlace(reserved.StorageBucket, reserved.MediaStoragePath.lstrip("/"))
    with s3.connected(access) as bucket:
        s3.put(bucket, place, b"media")
        with pytest.raises(StoreRefused, match="AccessDenied"):
            s3.put(bucket, ObjectPlace(place.bucket, "elsewhere.mp4"), b"media")
        assert s3.head(bucket, place) is None
    media = client.CommitUpload(commit)
    assert emulator.content(place.key) == b"media"
    assert list(emulator.media) == [media.FileId]
    assert client.CommitUpload(commit).FileId == media.FileId


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"MediaType": "exe"}, "InvalidParameterValue.MediaType"),
        ({"ExpireTime": "tomorrow"}, "InvalidParameterValue.ExpireTime"),
        ({"SourceContext": 251 * "x"}, "InvalidParameterValue.SourceContext"),
        ({"Procedure": ""}, "InvalidParameterValue.Procedure"),
    ],
)
def test_the_published_sdk_is_refused(emulator: VodEmulator, fields: dict[str, str], code: str) -> None:
    with pytest.raises(TencentCloudSDKException) as refusal:
        sdk(emulator).ApplyUpload(apply_request(**fields))
    assert refusal.value.get_code() == code
    assert refusal.value.get_request_id()
