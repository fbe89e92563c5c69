"""What all recordings of one recorder share: its settings, stores, and voice in the log."""

from dataclasses import dataclass
from pathlib import Path

import stamina
import structlog

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.contracts.commands import Command, Rejected
from panoreel.contracts.envelope import Cause
from panoreel.contracts.media import SegmentMedia
from panoreel.eventlog.errors import Contention, LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.secrets import SecretStore
from panoreel.recorder.announcer import publish
from panoreel.recorder.settings import RecorderSettings

_logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recorder:
    """One recorder service."""

    settings: RecorderSettings
    log: EventLog
    blobs: DirectoryBlobs
    secrets: SecretStore

    @property
    def id(self) -> str:
        """Which recorder this is."""
        return self.settings.recorder_id

    def cause(self, causation: str | None = None) -> Cause:
        """This recorder as the author of an event."""
        return Cause(f"recorder {self.id}", causation=causation)

    def spool(self, task_id: str) -> Path:
        """Where a task's sealed segments rest, by epoch."""
        return self.settings.spool_dir / task_id

    async def publish(self, task_id: str, path: Path, media: SegmentMedia) -> None:
        """Store and announce one sealed segment."""
        await publish(self.log, self.blobs, task_id, path, media)

    async def report(self, task_id: str, command: Command) -> None:
        """Append what happened, however long the log stays away; a report that comes too late is dropped."""
        try:
            async for attempt in stamina.retry_context(
                on=(LogUnavailable, Contention), attempts=None, timeout=None, wait_max=5.0
            ):
                with attempt:
                    await self.log.execute(task_id, command, self.cause())
        except Rejected as error:
            _logger.warning("report refused", task_id=task_id, command=repr(command), reason=str(error))
