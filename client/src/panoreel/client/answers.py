"""What the API answers, read leniently: fields that are not known here are kept in `model_extra`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Final, Literal

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_pascal

Status = Literal["normal", "recording", "paused", "canceled", "transcode", "upload", "callback", "finished"]
"""In their order; `recording` and `paused` take turns."""

SHANGHAI: Final = timezone(timedelta(hours=8))
"""The time zone in which the API writes dates and reads them."""

SECONDS_FORMAT: Final = "%Y-%m-%d %H:%M:%S"

_RANKS: Final[Mapping[Status, int]] = {
    "normal": 0,
    "recording": 1,
    "paused": 1,
    "canceled": 2,
    "transcode": 3,
    "upload": 4,
    "callback": 5,
    "finished": 6,
}

_IRREGULAR: Final = {
    "task_id": "TaskID",
    "file_url": "FileURL",
    "file_bytes": "FileSize",
    "file_duration_s": "FileDuration",
    "recorded_s": "RecordedTime",
    "skew_p50_ms": "SkewP50",
    "skew_p95_ms": "SkewP95",
    "gap_s": "GapTime",
    "silence_s": "SilenceTime",
    "black_s": "BlackTime",
}


def _wire_name(field: str) -> str:
    return _IRREGULAR.get(field) or to_pascal(field)


def _time(value: object) -> object:
    """A time as Describe gives it, in Unix seconds, or DescribeDetail, in words."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and len(value) == len("YYYY-MM-DD HH:MM:SS"):
        return datetime.strptime(value, SECONDS_FORMAT).replace(tzinfo=SHANGHAI).astimezone(UTC)
    return value or None


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    PlainSerializer(lambda time: int(time.timestamp()), when_used="json-unless-none"),
]
"""In UTC; in JSON, Unix seconds."""


class Answer(BaseModel):
    """Immutable; `as_json` gives it back under the API's names."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=_wire_name, serialization_alias=_wire_name),
        validate_by_name=True,
        validate_by_alias=True,
        extra="allow",
        frozen=True,
        hide_input_in_errors=True,
    )

    def as_json(self) -> dict[str, Any]:
        """What the server has answered, under its names, without nulls, and with times in Unix seconds."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


class Video(Answer):
    """A finished file; of HLS, its playlist, while size and duration are those of the whole."""

    filename: str
    file_url: str
    file_bytes: int = 0
    file_duration_s: float = 0
    file_id: str | None = None


class StoredFile(Answer):
    """A file beside the videos: `live`, `manifest`, `poster` or `sprites`. A live playlist comes first."""

    kind: str
    filename: str
    file_url: str


class Quality(Answer):
    """How well it was recorded: `docs/api.md` says what each figure means."""

    recorded_s: float
    frames_captured: int
    frames_encoded: int
    frames_dropped: int
    frames_repeated: int
    skew_p50_ms: float
    skew_p95_ms: float
    gaps: int
    gap_s: float
    cores: float
    preset_steps: int
    silence_s: float
    black_s: float


class Result(Answer):
    """What came of a recording. With an `error_code` beside videos, something is missing of them.

    `files` and `quality` are in what `describe_detail` answers, as soon as they are known.
    """

    error_code: str | None = None
    error_message: str | None = None
    videos: tuple[Video, ...] = ()
    files: tuple[StoredFile, ...] = ()
    quality: Quality | None = None


class Recording(Answer):
    """A task as `Describe` shows it; a time is None until that has happened."""

    task_id: str
    status: Status
    create_time: Time | None = None
    start_time: Time | None = None
    cancel_time: Time | None = None
    stop_time: Time | None = None
    finish_time: Time | None = None
    retry_num: int = 0
    storage_type: str | None = None
    result: Result = Result()

    @property
    def videos(self) -> tuple[Video, ...]:
        """The finished files."""
        return self.result.videos

    def reached(self, status: Status) -> bool:
        """Whether the recording is in this status or past it."""
        return self.status == status or _RANKS[self.status] > _RANKS[status]


class RecordingDetail(Recording):
    """A task as `DescribeDetail` shows it: `param` is what was asked for, without its secrets.

    `clip` tells, of a clip, the recording and its ranges; None for a recording.
    """

    application: str = ""
    stop_reason: str | None = None
    recorder: str | None = None
    param: Mapping[str, Any] = {}
    clip: Mapping[str, Any] | None = None


class Recordings(Answer):
    """A page of a list, newest first; `total` counts what the whole list has."""

    total: int
    tasks: tuple[RecordingDetail, ...] = ()


class Event(Answer):
    """A transition of a task: what happened, when, and by whom it was caused."""

    seq: int
    type: str
    time: datetime
    actor: str
    data: Mapping[str, Any] = Field(default={})
