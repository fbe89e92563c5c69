"""What `Start` and `Clip` take: checked for type and spelling here, for range by the server.

`docs/api.md` says what each field means; what is left out is the server's default. No secret is in a `repr`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import AliasGenerator, AwareDatetime, BaseModel, ConfigDict, Field, field_serializer
from pydantic.alias_generators import to_pascal

_IRREGULAR: Final = {
    "record_url": "RecordURL",
    "callback_url": "CallbackURL",
    "task_id": "TaskID",
    "clip_id": "ClipID",
    "start_s": "Start",
    "end_s": "End",
    "interval_s": "Interval",
    "max_duration_s": "MaxDurationLimit",
    "queue_timeout_s": "QueueTimeout",
    "blank_timeout_s": "BlankTimeout",
    "keyframe_interval_s": "KeyframeInterval",
}


def _wire_name(field: str) -> str:
    return _IRREGULAR.get(field) or to_pascal(field)


class _Parameters(BaseModel):
    """Takes a field under our name or the API's."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=_wire_name, serialization_alias=_wire_name),
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
    )


class Cookie(_Parameters):
    """A cookie of the page: for `domain` and `path`, or for `url`. `expires`: Unix seconds."""

    name: str
    value: str = Field(repr=False)
    domain: str | None = None
    url: str | None = Field(default=None, repr=False)
    path: str | None = None
    expires: float | None = None
    http_only: bool | None = None
    secure: bool | None = None
    same_site: Literal["Strict", "Lax", "None"] | None = None


class Browser(_Parameters):
    """Who opens the page, and with what browser. `storage_state` is what Playwright exports."""

    cookies: Sequence[Cookie] | None = None
    headers: Mapping[str, str] | None = Field(default=None, repr=False)
    user_agent: str | None = None
    storage_state: Mapping[str, Any] | None = Field(default=None, repr=False)
    locale: str | None = None
    timezone: str | None = None
    color_scheme: Literal["light", "dark", "no-preference"] | None = None
    device_scale_factor: float | None = None
    ignore_certificate_errors: bool | None = None
    media_devices: Literal["deny", "fake"] | None = None


class CosOutput(_Parameters):
    """Where in a bucket the file goes, and the host name of its URL."""

    bucket: str | None = None
    region: str | None = None
    domain: str | None = None
    target_dir: str | None = None
    target_name: str | None = None


class MediaInfo(_Parameters):
    """What VOD is told of the file."""

    media_name: str | None = None
    expire_time: AwareDatetime | None = None
    storage_region: str | None = None
    class_id: int | None = None
    source_context: str | None = None

    @field_serializer("expire_time", when_used="unless-none")
    def _iso_8601(self, time: datetime) -> str:
        return time.isoformat(timespec="seconds").replace("+00:00", "Z")


class ProcedureInfo(_Parameters):
    """What VOD does with the file."""

    procedure: str | None = None
    session_context: str | None = None


class VodOutput(_Parameters):
    """The file as an asset of VOD."""

    media_info: MediaInfo | None = None
    procedure_info: ProcedureInfo | None = None
    sub_app_id: int | str | None = None


class VideoOutput(_Parameters):
    """The file's format, and how it is encoded: rates in bits per second, of `bitrate` and `crf` one.

    `muxers` asks for several formats at once, in place of `muxer`.
    """

    muxer: Literal["mp4", "hls"] | None = None
    muxers: Sequence[Literal["mp4", "hls"]] | None = None
    fps: int | None = None
    bitrate: int | None = None
    crf: int | None = None
    keyframe_interval_s: float | None = None
    audio_bitrate: int | None = None
    audio_only: bool | None = None
    video_only: bool | None = None
    encrypt_key: str | None = Field(default=None, repr=False)
    encrypt_iv: str | None = Field(default=None, repr=False)
    auth_url: str | None = Field(default=None, repr=False)


class Thumbnails(_Parameters):
    """Small pictures beside the file: one every `interval_s` seconds, `width` pixels wide, and a poster."""

    interval_s: float | None = None
    width: int | None = None


class Output(_Parameters):
    """Where the result goes, and in what form."""

    cos: CosOutput | None = None
    vod: VodOutput | None = None
    video: VideoOutput | None = None
    thumbnails: Thumbnails | None = None


class Headers(_Parameters):
    """The original's place for the browser's user agent; see also `Browser.user_agent`."""

    user_agent: str | None = None


Remedy = Literal["reload", "fail", "continue"]


class StartRequest(_Parameters):
    """A recording to be made; `width` and `height` in pixels, `max_duration_s` from the first frame.

    `task_id` makes `start` repeatable: however often it is called with one id and the same parameters, there
    is one recording. Without it, each call of `start` makes its own id, and a new recording.
    """

    record_url: str = Field(repr=False)
    task_id: str | None = None
    manual_start: bool | None = None
    width: int | None = None
    height: int | None = None
    max_duration_s: int | None = None
    callback_url: str | None = Field(default=None, repr=False)
    storage_type: Literal["cfs", "cos"] | None = None
    page_title: str | None = None
    headers: Headers | None = None
    output: Output | None = None
    browser: Browser | None = None
    priority: Literal["high", "normal", "low"] | None = None
    queue_timeout_s: int | None = None
    on_error: Remedy | None = None
    on_blank: Remedy | None = None
    blank_timeout_s: float | None = None

    def data(self) -> dict[str, Any]:
        """The request's `Data`, secrets included."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Range(_Parameters):
    """From where until where to cut, in seconds of a recording's file."""

    start_s: float
    end_s: float


class ClipRequest(_Parameters):
    """A file to be cut from the recording `task_id`: its `ranges`, joined in this order, as one mp4.

    `clip_id` makes `clip` repeatable, as `StartRequest.task_id` does `start`.
    """

    task_id: str
    ranges: Sequence[Range]
    clip_id: str | None = None
    callback_url: str | None = Field(default=None, repr=False)
    output: Output | None = None

    def data(self) -> dict[str, Any]:
        """The request's `Data`, secrets included."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
