"""The facts of a recording's life: past tense, immutable, and free of secrets.

What a field means never changes. A new optional field is simply added; anything else raises `version` and
adds an upcaster (`panoreel.contracts.upcasters`).
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from panoreel.contracts.identifiers import Priority
from panoreel.contracts.media import EncoderParameters, Frozen, Sha256
from panoreel.contracts.outputs import Muxer, OutputKind
from panoreel.contracts.quality import Quality

StopReason = Literal["api", "page", "duration_limit"]

Trouble = Literal["crashed", "http_error", "network_error", "certificate_error", "blank"]
"""What a page may show that is no content."""

Remedy = Literal["reload", "fail", "continue"]
"""What is done about trouble: the page is loaded again and what it showed meanwhile is left out, the
recording ends with an error, or it is recorded as it is."""

Program = Literal["browser", "display", "sound"]

StorageType = Literal["cfs", "cos"]
"""Where media rests until the result is made: in a shared directory, or in a bucket."""


def _storable(sentence: str) -> str:
    # JSON cannot be written with half a surrogate pair, and PostgreSQL cannot store a NUL (its manual, §8.3).
    return sentence.encode(errors="replace").decode().replace("\0", "?")


Sentence = Annotated[str, AfterValidator(_storable)]
"""Words that may come from anywhere, such as a page or a server; what cannot be stored is replaced."""


class Failure(Frozen):
    """Why something failed, in words that a user may read."""

    code: str
    message: Sentence


class Output(Frozen):
    """A packaged result in the blob store: what rests under `blob_key`, then its `pieces`, by their numbers.

    Under `blob_key` rests an mp4's index, the whole of a small file, or the sprites' WebVTT; of HLS nothing,
    for its playlist is written where it is stored. `sha256` is of what rests there. `bytes` count all of it.
    """

    kind: OutputKind = "mp4"
    blob_key: str | None = None
    bytes: int = Field(gt=0)
    sha256: Sha256 | None = None
    duration_s: float = Field(ge=0)
    frames: int = Field(ge=0)
    pieces: tuple[int, ...] = ()


class Gap(Frozen):
    """Time that was lost with a recorder and closed in the output."""

    output_s: float = Field(ge=0, description="where in the output the recording jumps")
    lost_s: float = Field(ge=0, description="how much time is missing there")
    wall_time: datetime = Field(description="when the loss began, UTC")


class Video(Frozen):
    """A stored result, as `Describe` shows it; VOD gives it a `file_id`."""

    filename: str
    bytes: int
    duration_s: float
    url: str
    file_id: str | None = None
    refusal: Sentence | None = Field(
        default=None, description="what its target said, if it is in the backup store instead"
    )


class StoredFile(Frozen):
    """A file that was stored beside the results."""

    kind: Literal["live", "manifest", "poster", "sprites"]
    filename: str
    url: str


class PagePolicy(Frozen):
    """What is done when the page shows no content."""

    on_error: Remedy = "reload"
    on_blank: Remedy = "continue"
    blank_after_s: float | None = Field(
        default=30, gt=0, description="one plain colour for so long is blank; None: never"
    )


class HlsEncryption(Frozen):
    """What every player of an encrypted playlist is told (RFC 8216 §4.3.2.4); the key itself is a secret."""

    auth_url: str
    iv: str = Field(pattern="^[0-9a-f]{32}$")


class ThumbnailRequest(Frozen):
    """A picture each so many seconds, so many pixels wide."""

    interval_s: float = Field(default=10, ge=1)
    width: int = Field(default=160, ge=16, le=640)


class VodRequest(Frozen):
    """How VOD files the result: fields of ApplyUpload (API 2018-07-17, document 266/31767)."""

    sub_app_id: int | None = None
    media_name: str | None = None
    expire_time: str | None = None
    storage_region: str | None = None
    class_id: int = 0
    source_context: str | None = None
    procedure: str | None = None
    session_context: str | None = None


class OutputRequest(Frozen):
    """What the caller asked of the result. With `vod`, it goes there instead of to a bucket."""

    muxers: tuple[Muxer, ...] = ("mp4",)
    encryption: HlsEncryption | None = None
    thumbnails: ThumbnailRequest | None = None
    bucket: str | None = None
    region: str | None = None
    domain: str | None = None
    target_dir: str | None = None
    target_name: str | None = None
    vod: VodRequest | None = None


class ClipRange(Frozen):
    """From where until where to cut, in seconds of a recording's output."""

    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)


class ClipSource(Frozen):
    """What a clip is cut from: ranges of another task's recording, in the order in which they are joined."""

    task_id: str
    ranges: tuple[ClipRange, ...] = Field(min_length=1)


class Event(BaseModel):
    """A fact about one task. Unknown fields are ignored: a newer writer must not stop an older reader."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    version: ClassVar[int] = 1


class TaskCreated(Event):
    """Start was accepted. The URLs are redacted; what they were is sealed under `secrets_key`.

    `application` is whose task it is, "" where callers have no keys. `request_digest` tells a repeated
    request from another one of the same id: a keyed hash, which gives away nothing of the request.
    """

    type: ClassVar[str] = "task_created"
    application: str = ""
    request_digest: str | None = None
    record_url: str
    callback_url: str | None = None
    secrets_key: str
    encoder: EncoderParameters
    max_duration_s: int = Field(gt=0)
    priority: Priority = Priority.NORMAL
    storage_type: StorageType = "cfs"
    manual_start: bool = Field(default=False, description="begins when the page calls window.startRecord")
    page_title: str | None = None
    page_policy: PagePolicy = PagePolicy()
    queue_timeout_s: int | None = Field(
        default=None, gt=0, description="how long to wait for a recorder at most"
    )
    output: OutputRequest = OutputRequest()


class ClipCreated(Event):
    """A clip of another task's recording was asked for: a task of its own, which nobody records.

    `encoder` and `storage_type` are those of the recording, whose media is read where it rests.
    """

    type: ClassVar[str] = "clip_created"
    application: str = ""
    request_digest: str | None = None
    clip: ClipSource
    record_url: str
    callback_url: str | None = None
    secrets_key: str
    encoder: EncoderParameters
    storage_type: StorageType
    output: OutputRequest = OutputRequest()


class RecordingClaimed(Event):
    """A recorder with room took the task; everything that it writes is marked with `epoch`."""

    type: ClassVar[str] = "recording_claimed"
    epoch: int = Field(ge=1)
    recorder_id: str


class RecordingStarted(Event):
    """The epoch's first frame was captured at `wall_time`."""

    type: ClassVar[str] = "recording_started"
    epoch: int
    wall_time: datetime


class PauseRequested(Event):
    """Somebody asked for a pause."""

    type: ClassVar[str] = "pause_requested"


class RecordingPaused(Event):
    """The recorder holds capture."""

    type: ClassVar[str] = "recording_paused"
    epoch: int


class ResumeRequested(Event):
    """Somebody asked to go on after a pause."""

    type: ClassVar[str] = "resume_requested"


class RecordingResumed(Event):
    """The recorder captures again."""

    type: ClassVar[str] = "recording_resumed"
    epoch: int


class RefreshRequested(Event):
    """Somebody asked for the page to be loaded again, or for another one to take its place.

    The other page's URL is redacted; what it is stands in the secrets under `secrets_key`.
    """

    type: ClassVar[str] = "refresh_requested"
    record_url: str | None = None
    secrets_key: str | None = None


class PageRefreshed(Event):
    """The recorder loaded the page again, or tried to: `failure` says why the page before it stays."""

    type: ClassVar[str] = "page_refreshed"
    epoch: int
    failure: Failure | None = None


class PageTroubled(Event):
    """The page showed no content, and `remedy` is what is done about it."""

    type: ClassVar[str] = "page_troubled"
    epoch: int
    trouble: Trouble
    remedy: Remedy
    message: Sentence
    wall_time: datetime


class CaptureInterrupted(Event):
    """Capture broke off at `wall_time` and is being set up again, in the same epoch."""

    type: ClassVar[str] = "capture_interrupted"
    epoch: int
    cause: Program | Trouble
    message: Sentence
    wall_time: datetime


class GapRecorded(Event):
    """Capture goes on, or has ended: what was shown from `began` until `ended` is lost, and left out."""

    type: ClassVar[str] = "gap_recorded"
    epoch: int
    cause: Program | Trouble
    began: datetime
    ended: datetime


Accident = PageTroubled | CaptureInterrupted | GapRecorded


class RecordingMeasured(Event):
    """How well the epoch was recorded, told at its end."""

    type: ClassVar[str] = "recording_measured"
    epoch: int
    quality: Quality


class StopRequested(Event):
    """The recording is to end; by `force` its recorder is killed if it does not end it at once."""

    type: ClassVar[str] = "stop_requested"
    reason: StopReason
    force: bool = False


class RecordingStopped(Event):
    """Capture ended. `last_index` names each epoch's last segment; an epoch without media is absent."""

    type: ClassVar[str] = "recording_stopped"
    last_index: dict[int, int]
    frames: int = Field(default=0, description="frames captured by the last epoch")
    failure: Failure | None = Field(default=None, description="why it ended early, when media was saved")


class RecorderLost(Event):
    """The epoch's recorder died; the task waits to be claimed again."""

    type: ClassVar[str] = "recorder_lost"
    epoch: int
    last_index: int | None = Field(description="the epoch's last sealed segment, if there is one")
    reason: Sentence
    priority: Priority = Priority.NORMAL


class RecordingFailed(Event):
    """The recording failed for good before there was any media."""

    type: ClassVar[str] = "recording_failed"
    failure: Failure


class OutputsPackaged(Event):
    """The result files are complete and rest in the blob store."""

    type: ClassVar[str] = "outputs_packaged"
    outputs: tuple[Output, ...]
    gaps: tuple[Gap, ...] = ()


class PackagingFailed(Event):
    """The result files could not be made."""

    type: ClassVar[str] = "packaging_failed"
    failure: Failure


class LivePublished(Event):
    """A playlist can be followed while the recording runs."""

    type: ClassVar[str] = "live_published"
    file: StoredFile


class OutputsUploaded(Event):
    """The result files are stored and verified at their destination, and what goes with them."""

    type: ClassVar[str] = "outputs_uploaded"
    videos: tuple[Video, ...]
    files: tuple[StoredFile, ...] = ()


class UploadFailed(Event):
    """The result files could not be stored; they remain in the blob store."""

    type: ClassVar[str] = "upload_failed"
    failure: Failure


class CallbackDelivered(Event):
    """The receiver acknowledged the result."""

    type: ClassVar[str] = "callback_delivered"
    attempts: int = Field(ge=1)


class CallbackFailed(Event):
    """No attempt to tell the receiver succeeded."""

    type: ClassVar[str] = "callback_failed"
    attempts: int = Field(ge=0)
    last_error: Sentence


class CallbackSkipped(Event):
    """There was nobody to tell."""

    type: ClassVar[str] = "callback_skipped"


EVENT_TYPES: dict[str, type[Event]] = {event.type: event for event in Event.__subclasses__()}
