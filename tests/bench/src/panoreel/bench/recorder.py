"""Panoreel's own recorder at work: its child process, driven as the recorder service does it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from panoreel.bench.errors import RecordingFailed
from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.child_process import ChildProcess
from panoreel.recorder.leftovers import sweep
from panoreel.recorder.protocol import (
    Failed,
    Measured,
    RecordingOrder,
    SegmentSealed,
    StageOrder,
    Started,
    Stop,
    Stopped,
)

SERVICE_USER: Final = "panoreel" if os.geteuid() == 0 else None
PICTURE: Final = EncoderParameters(width=1280, height=720)
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
LONGEST_S: Final = 36_000.0


@dataclass
class Recording:
    """A recording under way. `files` are its segments so far, all of them after `finish`."""

    child: ChildProcess
    files: list[Path] = field(default_factory=list)
    started: datetime | None = None
    quality: dict[str, Any] | None = None
    stopped: Stopped | None = None
    _began: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str = "the recorder's process died"

    @property
    def roots(self) -> list[int]:
        """The process whose tree is all of the recording."""
        return [self.child.pid]

    async def begun(self) -> None:
        """Wait for the first picture; raises `RecordingFailed`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._began.wait()
        if self.started is None:
            raise RecordingFailed(self._failure)

    async def finish(self) -> list[Path]:
        """End the recording; its segments. Raises `RecordingFailed` when it had ended before, or hangs."""
        self.child.tell(Stop())
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._ended.wait()
        if self.stopped is None:
            raise RecordingFailed(self._failure)
        if not self.files:
            raise RecordingFailed("nothing was recorded")
        return self.files

    async def listen(self) -> None:
        """Take what the child reports, until its end."""
        async for report in self.child.reports():
            match report:
                case Started(wall_time=moment):
                    self.started = moment
                    self._began.set()
                case SegmentSealed(path=path):
                    self.files.append(path)
                case Measured(quality=quality):
                    self.quality = quality.model_dump()
                case Stopped():
                    self.stopped = report
                case Failed(message=message):
                    self._failure = message
        self._began.set()
        self._ended.set()


@asynccontextmanager
async def recording(url: str, picture: EncoderParameters = PICTURE) -> AsyncIterator[Recording]:
    """A child that records the page, from its first picture on; all is removed in the end.

    Raises `RecordingFailed`.
    """
    with tempfile.TemporaryDirectory(prefix="panoreel-bench-", ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        base.chmod(0o711)
        spool, run = base / "spool", base / "run"
        spool.mkdir()
        run.mkdir()
        size = {"width": picture.width, "height": picture.height, "fps": picture.fps}
        stage = StageOrder(run=run, user=SERVICE_USER, allowed_networks=LOOPBACK, **size)
        order = RecordingOrder(
            task_id="bench", epoch=1, record_url=url, encoder=picture, remaining_s=LONGEST_S, spool=spool
        )
        child = await ChildProcess.start(stage)
        child.record(order)
        current = Recording(child)
        listening = asyncio.create_task(current.listen())
        try:
            await current.begun()
            yield current
        finally:
            child.tell(Stop())
            with suppress(TimeoutError):
                await asyncio.wait_for(child.exited(), STOP_TIMEOUT_S)
            child.kill()
            await child.exited()
            await listening
            await asyncio.to_thread(sweep, run)


async def record(
    url: str,
    seconds: float,
    read: Callable[[Recording], Any],
    picture: EncoderParameters = PICTURE,
) -> Any:
    """Record for so long; what `read` finds in the finished recording, in a thread."""
    async with recording(url, picture) as current:
        await asyncio.sleep(seconds)
        await current.finish()
        return await asyncio.to_thread(read, current)
