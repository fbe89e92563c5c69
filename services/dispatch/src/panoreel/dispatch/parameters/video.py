"""`Data.Output.Video`: the result's format, and how it is encoded."""

from secrets import token_hex
from typing import Annotated, Final

from pydantic import Field, StrictBool, ValidationInfo, field_validator

from panoreel.contracts import outputs
from panoreel.contracts.events import HlsEncryption
from panoreel.contracts.media import EncoderParameters
from panoreel.dispatch.parameters import encryption
from panoreel.dispatch.parameters.errors import InvalidParam
from panoreel.dispatch.parameters.fields import InRange, Parameters

DEFAULT_AUDIO_BITRATE: Final = 128_000

_IV_DIGITS: Final = 32

_Formats = Annotated[tuple[outputs.Muxer, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True})]


class VideoParameters(Parameters):
    """The result's format. A key encrypts HLS (RFC 8216 §4.3.2.4); players fetch it from `AuthUrl`.

    `Muxers`, and `Fps` and what follows it, are additions to the original API.
    """

    Muxers: _Formats | None = None
    """All formats that are wanted of one recording, in the order in which the results are told."""
    Muxer: outputs.Muxer = "mp4"
    EncryptKey: encryption.EncryptKey = ""
    """Of HLS; an mp4 beside it is not encrypted."""
    EncryptIv: encryption.EncryptIv = ""
    """Without one, it is drawn."""
    AuthUrl: encryption.AuthUrl = Field(default="", validate_default=True)
    AudioOnly: StrictBool = False
    """No pictures."""
    VideoOnly: StrictBool = False
    """No sound."""
    Fps: Annotated[int, InRange(1, 60)] = 30
    """At most so many pictures a second; fewer where the page draws fewer."""
    Bitrate: Annotated[int, InRange(50_000, 50_000_000)] | None = None
    """Of the pictures, in bits per second, in the mean; in place of a quality."""
    Crf: Annotated[int, InRange(1, 51)] = 23
    """Near x264's scale of constant quality, from 1, the best, to 51."""
    KeyframeInterval: Annotated[float, InRange(0.5, 10.0)] = 2
    """In seconds. Players seek to keyframes; the fewer there are, the smaller the file."""
    AudioBitrate: Annotated[int, InRange(16_000, 512_000, or_zero=True)] = 0
    """In bits per second; 0 stands for 128000."""

    @field_validator("Muxers")
    @classmethod
    def _each_once(cls, value: tuple[outputs.Muxer, ...] | None) -> tuple[outputs.Muxer, ...] | None:
        if value and len(set(value)) < len(value):
            raise ValueError("must not name a format twice")
        return value

    @field_validator("Muxer")
    @classmethod
    def _one_of_them(cls, value: outputs.Muxer, info: ValidationInfo) -> outputs.Muxer:
        muxers = info.data.get("Muxers")
        if muxers and value not in muxers:
            raise ValueError("must be one of Muxers; leave out either of them")
        return value

    @field_validator("EncryptKey")
    @classmethod
    def _only_hls(cls, value: str, info: ValidationInfo) -> str:
        wanted = info.data.get("Muxers") or (info.data.get("Muxer"),)
        if value and "hls" not in wanted and None not in wanted:
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

    @property
    def muxers(self) -> tuple[outputs.Muxer, ...]:
        """The formats of the results, in order."""
        return self.Muxers or (self.Muxer,)

    def key(self, mode: encryption.HlsKeyMode) -> bytes | None:
        """The 16 bytes of the key, if there is one.

        Raises:
            InvalidParam: it is no key here.
        """
        try:
            return encryption.key_bytes(self.EncryptKey, mode) if self.EncryptKey else None
        except ValueError as error:
            raise InvalidParam(f"Output.Video.EncryptKey {error}") from None

    def hls_encryption(self) -> HlsEncryption | None:
        """What players are told, with an initialization vector that is drawn anew if none was given."""
        if not self.EncryptKey:
            return None
        iv = self.EncryptIv[-_IV_DIGITS:].lower() or token_hex(_IV_DIGITS // 2)
        return HlsEncryption(auth_url=self.AuthUrl, iv=iv)

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
