"""What all recordings of one recorder share: its settings, stores, and voice in the log."""

from dataclasses import dataclass, field
from pathlib import Path

import stamina
import structlog

from panoreel.blobs.shared import BlobStores
from panoreel.contracts.browser import BrowserLook
from panoreel.contracts.commands import Command, Rejected
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.media import EncoderParameters, SegmentMedia
from panoreel.contracts.task import Task
from panoreel.eventlog.errors import Contention, LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.secrets import SecretStore
from panoreel.recorder.announcer import publish
from panoreel.recorder.protocol import StageOrder
from panoreel.recorder.settings import RecorderSettings
from panoreel.recorder.warm import USUAL_LOOK, USUAL_PICTURE, WarmChildren

_logger = structlog.get_logger()


@dataclass(slots=True)
class Recorder:
    """One recorder service."""

    settings: RecorderSettings
    log: EventLog
    stores: BlobStores
    secrets: SecretStore
    webrtc_udp: bool = False
    """Whether browsers may send UDP."""
    recording: set[Path] = field(default_factory=set)
    """The spools of the sessions that there are now."""
    returning: set[Path] = field(default_factory=set)
    """The spools of recordings that are being given back: tasks of theirs are not claimed meanwhile."""
    shutting_down: bool = False
    warm: WarmChildren = field(init=False)

    def __post_init__(self) -> None:
        self.warm = WarmChildren(self.stage(USUAL_PICTURE, USUAL_LOOK))

    @property
    def id(self) -> str:
        """Which recorder this is."""
        return self.settings.recorder_id

    @property
    def actor(self) -> str:
        """This recorder as the author of an event."""
        return f"recorder {self.id}"

    def spool(self, offered: StoredEvent) -> Path:
        """Where the sealed segments rest of a recording that is claimed upon `offered`."""
        return self.settings.spool_dir / f"{offered.task_id}.{offered.envelope.id}"

    def stage(self, picture: EncoderParameters, look: BrowserLook) -> StageOrder:
        """Where such a picture of a page is recorded by a browser of this look."""
        return StageOrder(
            run=self.settings.run_dir,
            user=self.settings.user,
            width=picture.width,
            height=picture.height,
            fps=picture.fps,
            look=look,
            allowed_networks=self.settings.allowed_networks,
            webrtc_udp=self.webrtc_udp,
        )

    async def publish(self, task: Task, path: Path, media: SegmentMedia) -> None:
        """Store and announce one sealed segment."""
        await publish(self.log, self.stores, task, path, media)

    async def execute(self, task_id: str, command: Command, cause: Cause) -> None:
        """Append what follows from `command`, however long the log stays away; raises `Rejected`."""
        async for attempt in stamina.retry_context(
            on=(LogUnavailable, Contention), attempts=None, timeout=None, wait_max=5.0
        ):
            with attempt:
                await self.log.execute(task_id, command, cause)

    async def report(self, task_id: str, command: Command, cause: Cause) -> None:
        """Append what happened; a report that comes too late is dropped."""
        try:
            await self.execute(task_id, command, cause)
        except Rejected as error:
            _logger.warning("report refused", task_id=task_id, command=repr(command), reason=str(error))
