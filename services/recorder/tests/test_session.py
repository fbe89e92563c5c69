"""A claimed task: what the log and the page ask reaches the recording, and what becomes of it the log."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import psutil
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.shared import BlobStores
from panoreel.contracts import commands, events
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import Event
from panoreel.contracts.media import EncoderParameters
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.eventlog.segments import manifest
from panoreel.recorder import steering
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.session import Session
from panoreel.recorder.settings import RecorderSettings
from tests.servers.child import SERVICE_USER
from tests.servers.nats import NatsServer
from tests.servers.pages import Site, serve_pages

EVENT_TIMEOUT_S = 60.0
DRAWING = (
    "<script>(function draw() { document.title = Math.random(); requestAnimationFrame(draw) })()</script>"
)

E = TypeVar("E", bound=Event)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_pages() as site:
        site.pages["/"] = DRAWING
        yield site


class Running:
    """A task that is recorded."""

    def __init__(self, log: EventLog, secrets: SecretStore, task_id: str) -> None:
        self.log = log
        self.secrets = secrets
        self.task_id = task_id
        self._seen = 0
        self.actor = ""

    async def do(self, command: commands.Command) -> None:
        """What the API would do."""
        await self.log.execute(self.task_id, command, Cause("api"))

    async def event(self, kind: type[E]) -> E:
        """The next event of this kind; `actor` is then its author."""
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            async for stored in self.log.follow(self.task_id, self._seen):
                self._seen = stored.seq
                if isinstance(stored.event, kind):
                    self.actor = stored.envelope.cause.actor
                    return stored.event
        raise AssertionError("the log ended")


@asynccontextmanager
async def running(url: str, server: NatsServer, **created: Any) -> AsyncIterator[Running]:
    """A session at work on a new task, which is to end while this is entered."""
    key = Fernet.generate_key().decode()
    task_id = uuid4().hex
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        base.chmod(0o711)
        for name in ("spool", "run", "blobs"):
            (base / name).mkdir()
        (base / "run").chmod(0o711)
        settings = RecorderSettings(
            nats_url=SecretStr(server.url),
            recorder_id=f"recorder-{uuid4().hex}",
            secret_keys=(SecretStr(key),),
            spool_dir=base / "spool",
            run_dir=base / "run",
            user=SERVICE_USER if os.geteuid() == 0 else None,
            allowed_networks=(IPv4Network("127.0.0.0/8"),),
            start_timeout_s=0.5,
        )
        async with open_log(server.url, "test") as log:
            secrets = SecretStore(log, [key])
            stores = BlobStores(log, {"cfs": DirectoryBlobs(base / "blobs")})
            recorder = Recorder(settings, log, stores, secrets)
            await secrets.seal(task_id, TaskSecrets(record_url=url))
            event = events.TaskCreated(
                record_url="redacted",
                secrets_key=task_id,
                encoder=EncoderParameters(width=320, height=180),
                max_duration_s=60,
                **created,
            )
            offered = await log.execute(task_id, commands.Create(event), Cause("test"))
            session = await Session.claim(recorder, offered.appended[0])
            assert session
            work = asyncio.create_task(session.run())
            try:
                yield Running(log, secrets, task_id)
                await asyncio.wait_for(work, EVENT_TIMEOUT_S)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)


async def test_what_the_log_asks_is_done_and_told(own_nats_server: NatsServer, site: Site) -> None:
    async with running(f"{site.address}/", own_nats_server) as task:
        await task.event(events.RecordingStarted)
        await task.do(commands.Pause())
        await task.event(events.RecordingPaused)
        await task.do(commands.Resume())
        await task.event(events.RecordingResumed)
        await task.do(commands.Refresh())
        assert (await task.event(events.PageRefreshed)).failure is None
        assert len(site.asked("/")) == 2
        other = f"{task.task_id}.other"
        await task.secrets.seal(other, TaskSecrets(record_url=f"{site.address}/other?token=hunter2"))
        unreadable = f"{task.task_id}.unreadable"
        nothing: dict[str, Any] = {}
        await task.secrets.seal(unreadable, TaskSecrets.model_construct(**nothing))
        lost = "InternalError"
        for key, told in ((f"{task.task_id}.purged", lost), (unreadable, lost), (other, None)):
            await task.do(commands.Refresh("redacted", key))
            failure = (await task.event(events.PageRefreshed)).failure
            assert (failure and failure.code) == told
        assert site.asked("/other")[0].path == "/other?token=hunter2"
        await task.do(commands.Stop("api"))
        assert (await task.event(events.RecordingStopped)).failure is None


async def test_the_page_asks_like_the_api(own_nats_server: NatsServer, site: Site) -> None:
    site.pages["/"] = """<script>
        const say = (name, promise) => promise
            .then(() => fetch(`/say?${name}=kept`), error => fetch(`/say?${name}=${error.message}`));
        setTimeout(async () => {
            await say('early', resumeRecord());
            await say('start', startRecord());
            await say('pause', pauseRecord());
            await say('again', pauseRecord());
            await say('resume', startRecord());
            stopRecord();
        }, 100);
    </script>"""
    async with running(f"{site.address}/", own_nats_server, manual_start=True) as task:
        assert "resume" in await asyncio.to_thread(site.said, "early")
        for name in ("start", "pause", "again", "resume"):
            assert await asyncio.to_thread(site.said, name) == "kept", name
        for kind in (events.PauseRequested, events.ResumeRequested, events.StopRequested):
            assert await task.event(kind)
            assert task.actor == "page"
        assert await task.event(events.RecordingStopped)


async def test_a_page_that_never_starts_fails_the_task(own_nats_server: NatsServer, site: Site) -> None:
    async with running(f"{site.address}/", own_nats_server, manual_start=True) as task:
        failed = await task.event(events.RecordingFailed)
        assert failed.failure.code == "ManualStartTimeout"


async def test_a_pause_before_the_first_frame_fails_the_task(own_nats_server: NatsServer, site: Site) -> None:
    async with running(f"{site.address}/", own_nats_server) as task:
        await task.do(commands.Pause())
        failed = await task.event(events.RecordingFailed)
        assert failed.failure.code == "PauseTimeout"


async def test_a_child_that_does_not_stop_is_ended_by_force(
    own_nats_server: NatsServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "SEAL_S", 2 * EVENT_TIMEOUT_S)
    async with running(f"{site.address}/", own_nats_server) as task:
        await task.event(events.RecordingStarted)
        [child] = [
            process
            for process in psutil.Process().children()
            if "panoreel.recorder.child" in process.cmdline()
        ]
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            while not await manifest(task.log, task.task_id):
                await asyncio.sleep(0.1)
        child.suspend()
        await task.do(commands.Stop("api"))
        await asyncio.sleep(0.5)
        await task.do(commands.ForceStop())
        stopped = await task.event(events.RecordingStopped)
        assert stopped.last_index[1] >= 0, "what was sealed is kept"
