"""`Data.Output`: what is to become of a recording."""

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from panoreel.contracts.events import OutputRequest
from panoreel.contracts.names import REGION_PATTERN
from panoreel.contracts.urls import check_http_url
from panoreel.dispatch.parameters.fields import InRange, Parameters

KEY_BYTES: Final = 16
"""An AES-128 key's and an initialization vector's length."""

_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}")
_PREFIXED_HEX: Final = re.compile(r"(0[xX])?[0-9A-Fa-f]{32}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NOTHING_WRITTEN_OUT: Final = ("null", "undefined")


def _said(value: str) -> str:
    """Scripts send these by mistake, and VOD would take them for names."""
    if value and (not value.strip() or value.strip().lower() in _NOTHING_WRITTEN_OUT):
        raise ValueError("must not be blank, 'null' or 'undefined'; leave it out")
    return value


def _region(value: str) -> str:
    if value and not re.fullmatch(REGION_PATTERN, value):
        raise ValueError("must consist of at most 32 lower-case letters, digits and hyphens")
    return value


def _moment(value: str) -> str:
    try:
        if value:
            datetime.fromisoformat(value if _MOMENT.fullmatch(value) else "")
    except ValueError as error:
        raise ValueError(
            "must be a time of ISO 8601 with its offset, such as 2033-10-01T10:00:00Z"
        ) from error
    return value


def _sub_app_id(value: object) -> object:
    if value == "":
        return None
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("must be a whole number, or a string of at most 19 digits")


def _encrypt_key(value: str) -> str:
    if (
        not value
        or _HEX.fullmatch(value)
        or (len(value) == KEY_BYTES and value.isascii())
        or _is_base64(value)
    ):
        return value
    raise ValueError("must be 32 hexadecimal digits, 16 ASCII characters, or 16 bytes in base64")


def _is_base64(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == KEY_BYTES
    except (ValueError, binascii.Error):
        return False


def _encrypt_iv(value: str) -> str:
    if value and not _PREFIXED_HEX.fullmatch(value):
        raise ValueError("must be 32 hexadecimal digits, with 0x before them if need be")
    return value


def _auth_url(value: str) -> str:
    if '"' in value:
        # It is copied into the playlist, where a quotation mark would end the attribute.
        raise ValueError("must not contain quotation marks; percent-encode them")
    return value and check_http_url(value)


Text = Annotated[str, AfterValidator(_said)]


class CosParameters(Parameters):
    """Where an object store puts the result; what is empty is the deployment's choice."""

    Domain: str = ""
    Bucket: str = ""
    Region: str = ""
    TargetDir: str = ""
    TargetName: str = ""


class VideoParameters(Parameters):
    """The result's format. A key encrypts HLS (RFC 8216 §4.3.2.4); players fetch it from `AuthUrl`."""

    Muxer: Literal["mp4", "hls"] = "mp4"
    EncryptKey: Annotated[str, AfterValidator(_encrypt_key)] = ""
    EncryptIv: Annotated[str, AfterValidator(_encrypt_iv)] = ""
    AuthUrl: Annotated[str, Field(max_length=2048), AfterValidator(_auth_url)] = Field(
        default="", validate_default=True
    )

    @field_validator("EncryptKey")
    @classmethod
    def _only_hls(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("Muxer") == "mp4":
            raise ValueError("needs Muxer hls: an mp4 is not encrypted")
        return value

    @field_validator("EncryptIv")
    @classmethod
    def _with_a_key(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("EncryptKey") == "":
            raise ValueError("needs an EncryptKey; give both, or neither")
        return value

    @field_validator("AuthUrl")
    @classmethod
    def _wherever_there_is_a_key(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("EncryptKey") and not value:
            raise ValueError("must be set with EncryptKey: it is where players get the key")
        return value


class MediaInfoParameters(Parameters):
    """How VOD files the result (ApplyUpload of its API 2018-07-17, document 266/31767)."""

    MediaName: Text = ""
    ExpireTime: Annotated[Text, AfterValidator(_moment)] = ""
    StorageRegion: Annotated[Text, AfterValidator(_region)] = ""
    ClassId: Annotated[int, InRange(0, 2**31 - 1)] = 0
    SourceContext: Annotated[str, Field(max_length=250), AfterValidator(_said)] = ""


class ProcedureInfoParameters(Parameters):
    """What VOD does with the result."""

    Procedure: Text = ""
    SessionContext: Annotated[str, Field(max_length=1000), AfterValidator(_said)] = ""


class VodParameters(Parameters):
    """The result goes to VOD."""

    MediaInfo: MediaInfoParameters = MediaInfoParameters()
    ProcedureInfo: ProcedureInfoParameters = ProcedureInfoParameters()
    SubAppId: Annotated[
        int | None,
        BeforeValidator(_sub_app_id),
        WithJsonSchema(
            {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{0,19}$"}]}
        ),
    ] = None


class OutputParameters(Parameters):
    """What is to become of the recording."""

    Cos: CosParameters = CosParameters()
    Video: VideoParameters = VideoParameters()
    Vod: VodParameters | None = None

    def request(self) -> OutputRequest:
        """The part that the uploader reads."""
        return OutputRequest(
            bucket=self.Cos.Bucket or None,
            region=self.Cos.Region or None,
            domain=self.Cos.Domain or None,
            target_dir=self.Cos.TargetDir or None,
            target_name=self.Cos.TargetName or None,
        )
