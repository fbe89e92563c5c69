"""The answers of the API as they look on the wire.

`Describe` is built by `panoreel.contracts.answers`, which the result callback shares.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from panoreel.contracts import identifiers, outputs
from panoreel.contracts.events import Remedy, StopReason, StorageType

Status = Literal["normal", "recording", "paused", "canceled", "transcode", "upload", "callback", "finished"]


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VideoFile(_Shown):
    """A stored result. `FileSize` in bytes, `FileDuration` in whole seconds; VOD gives it a `FileId`."""

    Filename: str
    FileURL: str
    FileSize: int = 0
    FileDuration: int = 0
    FileId: str | None = Field(default=None, description="digits: more than a JSON number keeps")


class BesideFile(_Shown):
    """A file that is stored beside the results. A `live` playlist is there while the recording runs."""

    Kind: Literal["live", "manifest", "poster", "sprites"]
    Filename: str
    FileURL: str


class TaskResult(_Shown):
    """What became of a task: an error, files, or both."""

    ErrorCode: str | None = None
    ErrorMessage: str | None = None
    Videos: tuple[VideoFile, ...] = ()


class QualityReport(_Shown):
    """How well it was recorded, by all recorders together. Times in seconds, skews in milliseconds."""

    RecordedTime: float
    FramesCaptured: int = Field(description="pictures that were taken of the screen")
    FramesEncoded: int
    FramesDropped: int = Field(description="at most so many that the page drew were overdrawn before")
    FramesRepeated: int = Field(description="taken although nothing had changed")
    SkewP50: float = Field(description="sound against picture, as their clocks tell it: the median")
    SkewP95: float = Field(description="of the absolute values, the worst recorder's")
    Gaps: int
    GapTime: float
    Cores: float = Field(description="processor seconds a second, of all that records")
    PresetSteps: int = Field(description="how often the encoder's effort was changed")
    SilenceTime: float
    BlackTime: float


class DetailResult(TaskResult):
    """What became of a task, and how well it was recorded, as far as that is known."""

    Files: tuple[BesideFile, ...] = ()
    Quality: QualityReport | None = None


class CosDetail(_Shown):
    """Where the result was asked to be stored."""

    Domain: str | None
    Bucket: str | None
    Region: str | None
    TargetDir: str | None
    TargetName: str | None


class VideoDetail(_Shown):
    """The result's format. Rates in bits per second; of `Bitrate` and `Crf` one holds."""

    Muxer: outputs.Muxer = Field(description="the first of `Muxers`")
    Muxers: tuple[outputs.Muxer, ...]
    EncryptIv: str | None = Field(description="of encrypted HLS, in hexadecimal digits")
    AuthUrl: str | None = Field(description="of encrypted HLS: where players get the key")
    Fps: int
    Bitrate: int | None
    Crf: int | None
    KeyframeInterval: float = Field(description="in seconds")
    AudioBitrate: int
    AudioOnly: bool
    VideoOnly: bool


class MediaInfoDetail(_Shown):
    """How VOD files the result."""

    MediaName: str | None
    ExpireTime: str | None
    StorageRegion: str | None
    ClassId: int
    SourceContext: str | None


class ProcedureInfoDetail(_Shown):
    """What VOD does with the result."""

    Procedure: str | None
    SessionContext: str | None


class VodDetail(_Shown):
    """What VOD is asked, the deployment's defaults included."""

    MediaInfo: MediaInfoDetail
    ProcedureInfo: ProcedureInfoDetail
    SubAppId: int | None


class ThumbnailsDetail(_Shown):
    """The pictures that are stored beside the result: every how many seconds, how many pixels wide."""

    Interval: float
    Width: int


class OutputDetail(_Shown):
    """What was asked of the result. With `Vod` it goes there, else to a bucket."""

    Cos: CosDetail
    Vod: VodDetail | None
    Video: VideoDetail
    Thumbnails: ThumbnailsDetail | None


class Param(_Shown):
    """The parameters of a task as they are now, with all that may be secret left out."""

    RecordURL: str = Field(description="without query, fragment and user information")
    CallbackURL: str | None = Field(description="without query, fragment and user information")
    ManualStart: bool
    Width: int
    Height: int
    MaxDurationLimit: int
    PageTitle: str | None
    Priority: identifiers.Priority
    QueueTimeout: int = Field(description="in seconds; 0: none")
    OnError: Remedy
    OnBlank: Remedy
    BlankTimeout: float = Field(description="in seconds; 0: never")
    Output: OutputDetail


class Epoch(_Shown):
    """One recorder's part of the recording. `LastSegment` is None until it has ended, or without media."""

    Epoch: int
    LastSegment: int | None


class Gap(_Shown):
    """Time that was lost: where in the output, how much (seconds), and since when."""

    OutputTime: float
    LostTime: float
    WallTime: str


class PackagedFile(_Shown):
    """A result before it is stored. `FileSize` in bytes, `Duration` in seconds.

    Under `BlobKey` rests what is no piece, and `Sha256` is of that; of HLS there is nothing.
    """

    Kind: outputs.OutputKind
    BlobKey: str | None
    FileSize: int
    Sha256: str | None
    Duration: float
    Frames: int
    Pieces: int = Field(description="how many there are")


class ClipRange(_Shown):
    """From where until where, in seconds of the recording's file."""

    Start: float
    End: float


class ClipDetail(_Shown):
    """The recording that a clip is cut from, and what of it is joined."""

    TaskID: str
    Ranges: tuple[ClipRange, ...]


class TaskDetail(_Shown):
    """All that is known about a task. Times are `YYYY-MM-DD HH:MM:SS` in Asia/Shanghai."""

    TaskID: str
    Application: str
    Status: Status
    CreateTime: str
    StartTime: str | None
    CancelTime: str | None
    StopTime: str | None
    FinishTime: str | None
    StopReason: StopReason | None
    RetryNum: int
    StorageType: StorageType
    Param: Param
    Clip: ClipDetail | None = Field(description="null for a recording")
    Recorder: str | None = Field(description="who owns the recording now")
    Epochs: tuple[Epoch, ...]
    Gaps: tuple[Gap, ...]
    Outputs: tuple[PackagedFile, ...]
    Result: DetailResult


class _Answer(_Shown):
    RequestID: str = Field(description="finds the request in the service's log")


class Failed(_Answer):
    """The action was not carried out."""

    ErrorCode: Literal["InvalidParam", "InvalidStatus", "InternalError"]
    ErrorMessage: str


class Done(_Answer):
    """The answer of the actions that change a task: it is so, and can be read."""

    TaskID: str


class Description(_Answer):
    """The answer of `Describe`. Times are in Unix seconds; what is empty is left out."""

    TaskID: str
    Status: Status
    CreateTime: int
    StartTime: int | None = None
    CancelTime: int | None = None
    StopTime: int | None = None
    FinishTime: int | None = None
    RetryNum: int = 0
    StorageType: StorageType
    Result: TaskResult | None = None


class DetailAnswer(TaskDetail, _Answer):
    """The answer of `DescribeDetail`."""


class TaskList(_Answer):
    """The answer of `List`: how many tasks there are in all, and a page of them, newest first."""

    Total: int
    Tasks: tuple[TaskDetail, ...]


Answer = Failed | Description | DetailAnswer | TaskList | Done


class Refusal(_Shown):
    """Why a request reached no action."""

    message: str


class TaskEvent(_Shown):
    """One event of a task. `Seq` is its position in the log, `Time` in RFC 3339, `Actor` a service."""

    Seq: int
    Type: str
    Time: str
    Actor: str
    Data: dict[str, Any]


class TaskEvents(_Shown):
    """A task's events, oldest first."""

    Events: tuple[TaskEvent, ...]


class Live(_Shown):
    """Whether the service works; `projection` says what stopped the read model.

    `webrtc_udp` tells whether recorded pages may use UDP, and is absent while no recorder has said so.
    """

    status: Literal["ok", "failing"]
    projection: str | None = None
    webrtc_udp: Literal["filtered", "off"] | None = None


class Ready(_Shown):
    """Whether requests can be answered now; `problems` has a sentence for each part that fails."""

    status: Literal["ready", "not ready"]
    problems: dict[str, str] = {}
