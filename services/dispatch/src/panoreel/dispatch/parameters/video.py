"""`Data.Output.Video`: the result's format, and how it is encoded."""

import base64
import binascii
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator

from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.urls import check_http_url
from panoreel.dispatch.parameters.fields import InRange, Parameters

DEFAULT_AUDIO_BITRATE: Final = 128_000

KEY_BYTES: Final = 16
"""An AES-128 key's and an initialization vector's length."""

_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}")
_PREFIXED_HEX: Final = re.compile(r"(0[xX])?[0-9A-Fa-f]{32}")


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


class VideoParameters(Parameters):
    """The result's format. A key encrypts HLS (RFC 8216 §4.3.2.4); players fetch it from `AuthUrl`.

    `Fps` and what follows it are additions to the original API.
    """

    Muxer: Literal["mp4", "hls"] = "mp4"
    EncryptKey: Annotated[str, AfterValidator(_encrypt_key)] = ""
    EncryptIv: Annotated[str, AfterValidator(_encrypt_iv)] = ""
    AuthUrl: Annotated[str, Field(max_length=2048), AfterValidator(_auth_url)] = Field(
        default="", validate_default=True
    )
    AudioOnly: StrictBool = False
    """No pictures."""
    VideoOnly: StrictBool = False
    """No sound."""
    Fps: Annotated[int, InRange(1, 60)] = 30
    """At most so many pictures a second; fewer where the page draws fewer."""
    Bitrate: Annotated[int, InRange(50_000, 50_000_000)] | None = None
    """Of the pictures, in bits per second, in the mean; in place of a quality."""
    Crf: Annotated[int, InRange(1, 51)] = 23
    """x264's constant quality, from 1, the best, to 51."""
    KeyframeInterval: Annotated[float, InRange(0.5, 10.0)] = 2
    """In seconds. Players seek to keyframes; the fewer there are, the smaller the file."""
    AudioBitrate: Annotated[int, InRange(16_000, 512_000, or_zero=True)] = 0
    """In bits per second; 0 stands for 128000."""

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

    @field_validator("VideoOnly")
    @classmethod
    def _not_nothing(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("AudioOnly"):
            raise ValueError("must not be set with AudioOnly: nothing would be left; choose one of them")
        return value

    @field_validator("Fps", "Bitrate", "Crf", "KeyframeInterval")
    @classmethod
    def _with_pictures(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("AudioOnly"):
            raise ValueError("is of pictures, which AudioOnly leaves out; leave out either of them")
        return value

    @field_validator("AudioBitrate")
    @classmethod
    def _with_sound(cls, value: int, info: ValidationInfo) -> int:
        if value and info.data.get("VideoOnly"):
            raise ValueError("is of sound, which VideoOnly leaves out; leave out either of them")
        return value

    @field_validator("Crf")
    @classmethod
    def _one_quality(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("Bitrate") is not None:
            raise ValueError("must not be set with Bitrate; leave out either of them")
        return value

    def encoder(self, width: int, height: int) -> EncoderParameters:
        """How the recorder encodes pictures of this size."""
        return EncoderParameters(
            width=width,
            height=height,
            fps=self.Fps,
            crf=self.Crf,
            bitrate=self.Bitrate,
            keyframe_interval_s=self.KeyframeInterval,
            tracks="audio" if self.AudioOnly else "video" if self.VideoOnly else "both",
            audio_bitrate=self.AudioBitrate or DEFAULT_AUDIO_BITRATE,
        )
