"""What the recorder service and its child, one process per recording, say to each other.

One JSON object a line: the service writes a `StageOrder`, a `RecordingOrder` at once or much later, and then
commands to the child's standard input; the child writes reports to its standard output. Standard error is the
child's log.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from panoreel.contracts.browser import BrowserLook, BrowserSettings
from panoreel.contracts.events import Failure, PagePolicy, Program, Remedy, Trouble
from panoreel.contracts.media import EncoderParameters, Frozen, SegmentMedia
from panoreel.contracts.quality import Quality
from panoreel.reach.addresses import Networks

ServiceAction = Literal["pause", "resume", "refresh", "stop"]
"""What the page may ask of the service."""


class StageOrder(Frozen):
    """What must be known before display, sound server and browser are started, for whatever page."""

    run: Path = Field(description="the directory for sockets, profiles and partial files; removed at the end")
    user: str | None = Field(default=None, description="who runs browser, display and sound server when root")
    width: int
    height: int
    fps: int
    look: BrowserLook = BrowserLook()
    allowed_networks: Networks = Field(default=(), description="may be reached although they are not public")
    webrtc_udp: bool = Field(default=False, description="whether the browser may send UDP, which is filtered")


class RecordingOrder(Frozen):
    """Everything a child needs in order to record one page once, on the stage that it was told of before."""

    task_id: str
    epoch: int = Field(ge=1)
    record_url: str = Field(repr=False, description="may carry secrets: never logged, never reported")
    encoder: EncoderParameters
    remaining_s: float = Field(gt=0, description="seconds from the first frame until the duration limit")
    spool: Path = Field(description="the directory that sealed segments are moved into, for this epoch alone")
    browser: BrowserSettings = Field(default=BrowserSettings(), repr=False)
    page_title: str | None = None
    manual_start: bool = Field(default=False, description="whether to wait for startRecord")
    start_timeout_s: float | None = Field(
        default=None, gt=0, description="how long to wait, also for the end of a pause; None: to the limit"
    )
    paused: bool = Field(default=False, description="whether to wait for `Resume` before the first frame")
    page_policy: PagePolicy = PagePolicy()
    load_timeout_s: float = 60.0


class Stop(Frozen):
    """End the recording: seal what is open, report `Stopped`, exit 0."""

    command: Literal["stop"] = "stop"


class Pause(Frozen):
    """Hold capture: what the page shows and plays from now on is left out."""

    command: Literal["pause"] = "pause"


class Resume(Frozen):
    """Capture again, right behind what was captured before the pause."""

    command: Literal["resume"] = "resume"


class Refresh(Frozen):
    """Load the page again, or `record_url` instead of it; recording goes on."""

    command: Literal["refresh"] = "refresh"
    record_url: str | None = Field(default=None, repr=False)


class PageCallAnswered(Frozen):
    """What became of a `PageCalled` of the same `call`: its promise is kept, or broken with `error`."""

    command: Literal["page_call_answered"] = "page_call_answered"
    call: int
    error: str | None = None


class Ready(Frozen):
    """The stage is set and waits for a `RecordingOrder`; not told by a child that has one by then."""

    report: Literal["ready"] = "ready"


class Started(Frozen):
    """The first frame was captured."""

    report: Literal["started"] = "started"
    wall_time: datetime


class SegmentSealed(Frozen):
    """A complete, synced segment lies in the spool at `path`."""

    report: Literal["segment_sealed"] = "segment_sealed"
    path: Path
    media: SegmentMedia


class Paused(Frozen):
    """Nothing after this is captured."""

    report: Literal["paused"] = "paused"


class Resumed(Frozen):
    """What is shown is captured again."""

    report: Literal["resumed"] = "resumed"


class Refreshed(Frozen):
    """The page was loaded anew, or could not be."""

    report: Literal["refreshed"] = "refreshed"
    failure: Failure | None = None


class Troubled(Frozen):
    """The page showed no content."""

    report: Literal["troubled"] = "troubled"
    trouble: Trouble
    remedy: Remedy
    message: str
    wall_time: datetime


class Interrupted(Frozen):
    """Capture broke off and is being set up again."""

    report: Literal["interrupted"] = "interrupted"
    cause: Program | Trouble
    message: str
    wall_time: datetime


class Restored(Frozen):
    """Capture goes on, or the recording ends meanwhile: what was shown since `began` is lost."""

    report: Literal["restored"] = "restored"
    cause: Program | Trouble
    began: datetime
    ended: datetime


class Measured(Frozen):
    """How well it goes, from the first frame until now; told again and again, also at the end."""

    report: Literal["measured"] = "measured"
    quality: Quality


class Alive(Frozen):
    """The recording waits, for startRecord or the end of a pause, and so has nothing else to tell."""

    report: Literal["alive"] = "alive"


class PageCalled(Frozen):
    """The page called one of the functions that it was given; it waits for a `PageCallAnswered`."""

    report: Literal["page_called"] = "page_called"
    call: int
    action: ServiceAction


class LimitReached(Frozen):
    """The duration limit ended the recording; `Stopped` follows."""

    report: Literal["limit_reached"] = "limit_reached"


class Stopped(Frozen):
    """Capture ended and the last segment is sealed."""

    report: Literal["stopped"] = "stopped"
    frames: int
    duration_s: float


class Failed(Frozen):
    """The recording cannot go on, and trying again would not help (`permanent`) or might."""

    report: Literal["failed"] = "failed"
    code: str
    message: str = Field(description="a sentence for the user, free of secrets")
    permanent: bool


Report = Annotated[
    Ready
    | Started
    | SegmentSealed
    | Paused
    | Resumed
    | Refreshed
    | Troubled
    | Interrupted
    | Restored
    | Measured
    | Alive
    | PageCalled
    | LimitReached
    | Stopped
    | Failed,
    Field(discriminator="report"),
]
Command = Annotated[Stop | Pause | Resume | Refresh | PageCallAnswered, Field(discriminator="command")]

report_adapter: TypeAdapter[Report] = TypeAdapter(Report)
command_adapter: TypeAdapter[Command] = TypeAdapter(Command)
