"""Panoreel's action API for Python programs: `Panoreel`, and `AsyncPanoreel` for asyncio."""

from panoreel.client.answers import Event, Recording, RecordingDetail, Recordings, Result, Status, Video
from panoreel.client.asynchronous import AsyncPanoreel
from panoreel.client.errors import (
    DownloadFailed,
    InternalError,
    InvalidParam,
    InvalidStatus,
    PanoreelError,
    RateLimited,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from panoreel.client.parameters import (
    Browser,
    Cookie,
    CosOutput,
    Headers,
    MediaInfo,
    Output,
    ProcedureInfo,
    StartRequest,
    VideoOutput,
    VodOutput,
)
from panoreel.client.synchronous import Panoreel

__all__ = [
    "AsyncPanoreel",
    "Browser",
    "Cookie",
    "CosOutput",
    "DownloadFailed",
    "Event",
    "Headers",
    "InternalError",
    "InvalidParam",
    "InvalidStatus",
    "MediaInfo",
    "Output",
    "Panoreel",
    "PanoreelError",
    "ProcedureInfo",
    "RateLimited",
    "Recording",
    "RecordingDetail",
    "Recordings",
    "Result",
    "StartRequest",
    "Status",
    "TimedOut",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "Video",
    "VideoOutput",
    "VodOutput",
]
