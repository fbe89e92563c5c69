"""One claimed task, from the claim to its last event: the child's reports become segments and events.

The child is never kept waiting for broker or blob store. What it reports goes through an outbox, in order,
and the outbox waits as long as it must.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import structlog

from panoreel.blobs.errors import StorageMissing
from panoreel.contracts import commands
from panoreel.contracts.commands import FailRecording, RecorderReport, Rejected, ReportLost, ReportStopped
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Accident, CaptureInterrupted, Failure, GapRecorded, PageTroubled
from panoreel.contracts.quality import Quality
from panoreel.contracts.task import Task
from panoreel.eventlog.errors import SecretsUnavailable
from panoreel.eventlog.leases import Lease
from panoreel.recorder import protocol
from panoreel.recorder.child_process import ChildProcess
from panoreel.recorder.protocol import Failed, RecordingOrder, Stopped
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.recovery import give_back
from panoreel.recorder.segments import make_spool, sealed
from panoreel.recorder.steering import SEAL_S, Steering

OPENING_S: Final = 120.0
"""How long a child may take to its first frame: it gives up a page that does not load after a minute."""

SILENCE_S: Final = 30.0
"""A child that records has a segment to tell of every few seconds, one that waits says so: after this long
it hangs."""

_ACCIDENTS: Final[dict[type[protocol.Report], type[Accident]]] = {
    protocol.Troubled: PageTroubled,
    protocol.Interrupted: CaptureInterrupted,
    protocol.Restored: GapRecorded,
}

RETRY_PAUSE_S: Final = 0.5
MAX_RETRY_PAUSE_S: Final = 5.0

_logger = structlog.get_logger()


class Session:
    """A recording that this recorder owns."""

    def __init__(self, recorder: Recorder, task: Task, claimed: StoredEvent, spool: Path) -> None:
        self._recorder = recorder
        self._task = task
        self._claimed = claimed
        self.spool = spool
        self._outbox: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._last_index: int | None = None
        self._end: Stopped | Failed | None = None
        self._quality: Quality | None = None
        self._owner = True
        self._stopping = False
        self._shut_down = False
        self._log = _logger.bind(task_id=task.task_id, epoch=task.epoch)

    @classmethod
    async def claim(cls, recorder: Recorder, offered: StoredEvent) -> Self | None:
        """Take the task; None when it needs no recorder any more.

        Raises:
            LogUnavailable, Contention: whether the task is owned is not known; `give_back` finds out.
        """
        spool = recorder.spool(offered)
        if spool in recorder.recording:
            return None  # offered again, while it is being recorded
        # Before the claim: a recorder that dies right after it finds the directory, and so what it owns.
        await asyncio.to_thread(make_spool, spool)
        try:
            claim = commands.Claim(recorder.id)
            outcome = await recorder.log.execute(offered.task_id, claim, offered.cause(recorder.actor))
        except Rejected:
            # Perhaps because an earlier claim was stored, although the log's answer never came.
            await give_back(recorder, spool, "the claim's acknowledgement was lost")
            return None
        recorder.recording.add(spool)
        return cls(recorder, outcome.task, outcome.appended[0], spool)

    async def run(self) -> None:
        """Record until the task is stopped, fails, or is lost."""
        lease = Lease(self._recorder.log, self._task.task_id, self._recorder.id, self._task.epoch)
        try:
            async with asyncio.TaskGroup() as group, self._child() as child:
                keeping = [group.create_task(lease.keep()), group.create_task(self._send())]
                if child:
                    steering = Steering(self._recorder, self._task, self._claimed, child)
                    following = group.create_task(steering.follow())
                    await self._record(steering)
                    following.cancel()
                    self._owner = steering.owner
                    self._stopping |= steering.stopping
                if self._owner:
                    await self._hand_over()
                for task in keeping:
                    task.cancel()
            await lease.release()
        finally:
            self._recorder.recording.discard(self.spool)

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[ChildProcess | None]:
        """The process that records, given time to tidy up at the end; None if there is nothing to record."""
        order = await self._order()
        if order is None:
            yield None
            return
        stage = self._recorder.stage(order.encoder, order.browser.look)
        warm = await self._recorder.warm.take(stage)
        child = warm or await ChildProcess.start(stage)
        child.record(order)
        self._log.info("child records", pid=child.pid, warm=warm is not None)
        try:
            yield child
        except BaseException:
            child.kill()
            raise
        finally:
            self._log.info("child ended", exit_code=await child.close())

    async def _record(self, steering: Steering) -> None:
        """Take what the child reports, until it has nothing more to say."""
        child = steering.child
        try:
            await self._listen(steering)
        except asyncio.CancelledError:
            if not self._recorder.shutting_down:
                raise
            self._shut_down = True
            child.tell(protocol.Stop())
            try:
                async with asyncio.timeout(SEAL_S):
                    await self._listen(steering)
            except TimeoutError:
                child.kill()
                await child.exited()

    async def _order(self) -> RecordingOrder | None:
        """What the child is to do; None when there is nothing to do, and then `_end` says why."""
        task = self._task
        started = task.start_time or datetime.now(UTC)
        remaining_s = task.max_duration_s - (datetime.now(UTC) - started).total_seconds()
        if remaining_s <= 0:
            self._stopping = True
            self._queue(commands.Stop("duration_limit"))
            self._end = Stopped(frames=0, duration_s=0)
            return None
        try:
            self._recorder.stores.require(task.storage_type)
            secrets = await self._recorder.secrets.unseal(task.secrets_key)
            page = await self._recorder.secrets.unseal(task.page_key) if task.page_key else secrets
        except (SecretsUnavailable, StorageMissing) as error:
            self._end = Failed(code="InternalError", message=str(error), permanent=True)
            return None
        return RecordingOrder(
            task_id=task.task_id,
            epoch=task.epoch,
            record_url=page.record_url,
            encoder=task.encoder,
            remaining_s=remaining_s,
            spool=self.spool,
            browser=secrets.browser,
            page_title=task.page_title,
            manual_start=task.manual_start and not task.start_time,
            start_timeout_s=self._start_timeout_s(),
            paused=task.paused,
            page_policy=task.page_policy,
        )

    def _start_timeout_s(self) -> float | None:
        if self._task.start_time:
            return None  # what was recorded before is kept when the limit is reached
        return min(self._recorder.settings.start_timeout_s, self._task.max_duration_s)

    async def _listen(self, steering: Steering) -> None:
        epoch = self._task.epoch
        patience_s = OPENING_S
        async with aclosing(steering.child.reports()) as reports:
            while (report := await self._next(reports, patience_s, steering.child)) is not None:
                match report:
                    case protocol.Started():
                        patience_s = SILENCE_S
                        self._recorder.warm.began()
                        steering.began()
                        self._queue(commands.ReportStarted(epoch, report.wall_time))
                        self._outbox.put_nowait(steering.begin_is_told)
                    case protocol.SegmentSealed():
                        self._queue_segment(report)
                    case protocol.Paused():
                        self._queue(commands.ReportPaused(epoch))
                    case protocol.Resumed():
                        self._queue(commands.ReportResumed(epoch))
                    case protocol.Refreshed(failure=failure):
                        self._queue(commands.ReportRefreshed(epoch, failure))
                    case protocol.Troubled() | protocol.Interrupted() | protocol.Restored():
                        fact = report.model_dump(exclude={"report"}) | {"epoch": epoch}
                        event = _ACCIDENTS[type(report)].model_validate(fact)
                        self._queue(commands.ReportAccident(event))
                    case protocol.Measured(quality=quality):
                        self._quality = quality
                    case protocol.PageCalled() as called:
                        steering.call(called)
                    case protocol.LimitReached():
                        self._stopping = True
                        self._queue(commands.Stop("duration_limit"))
                    case Stopped() | Failed():
                        self._end = report
                        return

    async def _next(
        self, reports: AsyncGenerator[protocol.Report], patience_s: float, child: ChildProcess
    ) -> protocol.Report | None:
        """The child's next report; None when it has ended, or hangs and was killed."""
        try:
            async with asyncio.timeout(patience_s):
                return await anext(reports, None)
        except TimeoutError:
            self._log.warning("the recording process hangs", patience_s=patience_s)
            child.kill()
            return None

    def _queue(self, command: commands.Command) -> None:
        self._outbox.put_nowait(lambda: self._report(command))

    def _queue_segment(self, report: protocol.SegmentSealed) -> None:
        self._last_index = report.media.index
        self._outbox.put_nowait(lambda: self._recorder.publish(self._task, report.path, report.media))

    async def _send(self) -> None:
        while True:
            send = await self._outbox.get()
            await send()
            self._outbox.task_done()

    async def _hand_over(self) -> None:
        """Announce what is left, tell how it ended, and clear the spool."""
        await self._outbox.join()
        for path, media in await asyncio.to_thread(sealed, self.spool):
            # Sealed, but the child died before it could say so.
            await self._recorder.publish(self._task, path, media)
            self._last_index = media.index
        outcome = self._outcome()
        if isinstance(outcome, ReportLost):
            await asyncio.sleep(min(self._task.retry_num * RETRY_PAUSE_S, MAX_RETRY_PAUSE_S))
        if self._quality:
            await self._report(commands.ReportMeasured(self._task.epoch, self._quality))
        await self._report(outcome)
        await asyncio.to_thread(shutil.rmtree, self.spool)

    async def _report(self, command: commands.Command) -> None:
        await self._recorder.report(self._task.task_id, command, self._claimed.cause(self._recorder.actor))

    def _outcome(self) -> RecorderReport:
        epoch, last_index = self._task.epoch, self._last_index
        match self._end:
            case _ if self._shut_down:
                return ReportLost(epoch, last_index, "the recorder was shut down")
            case Stopped() if not self._stopping:
                return ReportLost(epoch, last_index, "somebody else ended the recording process")
            case Stopped() as stopped:
                return ReportStopped(epoch, last_index, stopped.frames)
            case Failed(permanent=True) as failed:
                return FailRecording(epoch, last_index, Failure(code=failed.code, message=failed.message))
            case Failed() as failed:
                return ReportLost(epoch, last_index, failed.message)
            case None:
                return ReportLost(epoch, last_index, "the recording process died, see the recorder's log")
