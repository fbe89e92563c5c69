"""What the recorder service and its child, one process per recording, say to each other.

One JSON object a line: the service writes a `RecordingOrder` and then commands to the child's standard
input; the child writes reports to its standard output. Standard error is the child's log.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from panoreel.contracts.media import EncoderParameters, Frozen, SegmentMedia


class RecordingOrder(Frozen):
    """Everything a child needs in order to record one page once."""

    task_id: str
    epoch: int = Field(ge=1)
    record_url: str = Field(repr=False, description="may carry secrets: never logged, never reported")
    encoder: EncoderParameters
    remaining_s: float = Field(gt=0, description="seconds from the first frame until the duration limit")
    spool: Path = Field(description="the directory that sealed segments are moved into, for this epoch alone")
    run: Path = Field(description="the directory for sockets, profiles and partial files; removed at the end")
    user: str | None = Field(default=None, description="who runs browser, display and sound server when root")
    user_agent: str | None = None
    load_timeout_s: float = 60.0


class Stop(Frozen):
    """End the recording: seal what is open, report `Stopped`, exit 0."""

    command: Literal["stop"] = "stop"


class Started(Frozen):
    """The first frame was captured."""

    report: Literal["started"] = "started"
    wall_time: datetime


class SegmentSealed(Frozen):
    """A complete, synced segment lies in the spool at `path`."""

    report: Literal["segment_sealed"] = "segment_sealed"
    path: Path
    media: SegmentMedia


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


Report = Annotated[Started | SegmentSealed | LimitReached | Stopped | Failed, Field(discriminator="report")]
Command = Stop

report_adapter: TypeAdapter[Report] = TypeAdapter(Report)
