"""Between the log and a recording's child: what either asks of the other is passed on."""

import asyncio
from contextlib import aclosing
from typing import Final

import stamina
import structlog

from panoreel.contracts import commands, events
from panoreel.contracts.commands import Command, Rejected
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Event, Failure
from panoreel.contracts.task import Task
from panoreel.eventlog.errors import LogUnavailable, SecretsUnavailable
from panoreel.recorder import protocol
from panoreel.recorder.child_process import ChildProcess
from panoreel.recorder.recorder import Recorder

SEAL_S: Final = 10.0
"""How long a child may take to seal its last segment."""

FORCED_SEAL_S: Final = 2.0
"""How long it may take when it is stopped by force; what is sealed by then is kept."""

FAILED: Final = "the recorder could not do this, see its log"

PAGE: Final = "page"
"""The author of events that the page asked for."""

PAGE_COMMANDS: Final[dict[protocol.ServiceAction, Command]] = {
    "pause": commands.Pause(),
    "resume": commands.Resume(),
    "refresh": commands.Refresh(),
    "stop": commands.Stop("page"),
}

_logger = structlog.get_logger()


class Steering:
    """Steers `child`, which records `task`, as the log says after `claimed`."""

    def __init__(self, recorder: Recorder, task: Task, claimed: StoredEvent, child: ChildProcess) -> None:
        self.child = child
        self.owner = True
        """False once the log says that another recorder has the task."""
        self.stopping = False
        """Whether the log says that the recording is to end."""
        self._recorder = recorder
        self._task = task
        self._claimed = claimed
        self._refreshes: asyncio.Queue[events.RefreshRequested] = asyncio.Queue()
        self._calls: asyncio.Queue[protocol.PageCalled] = asyncio.Queue()
        self._may_answer = asyncio.Event()
        self._may_answer.set()
        self._log = _logger.bind(task_id=task.task_id, epoch=task.epoch)

    async def follow(self) -> None:
        """Pass on what the log asks, until cancelled, or until a child that does not stop was killed."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._pass_refreshes()), group.create_task(self._answer_calls())]
            await self._follow()
            for task in beside:
                task.cancel()

    def call(self, called: protocol.PageCalled) -> None:
        """Have done what the page asks as if the API had asked for it, and the page told what came of it."""
        self._calls.put_nowait(called)

    def began(self) -> None:
        """Answer no calls until `begin_is_told`: what a running recording may ask, the log must agree to."""
        self._may_answer.clear()

    async def begin_is_told(self) -> None:
        """The log knows that the recording began."""
        self._may_answer.set()

    async def _follow(self) -> None:
        try:
            # The history goes on while the child seals: a stop by force may yet come.
            async with (
                asyncio.timeout(None) as patience,
                aclosing(self._recorder.log.follow(self._task.task_id, self._claimed.seq)) as history,
            ):
                async for stored in history:
                    seal_s = self._pass(stored.event)
                    if seal_s is not None:
                        deadline = asyncio.get_running_loop().time() + seal_s
                        patience.reschedule(min(deadline, patience.when() or deadline))
        except TimeoutError:
            self._log.warning("the recording process does not stop")
            self.child.kill()

    async def _answer_calls(self) -> None:
        # Not in the outbox: a stop by the page must not wait for a blob store that is away.
        while True:
            called = await self._calls.get()
            await self._may_answer.wait()
            await self._answer(called)

    async def _answer(self, called: protocol.PageCalled) -> None:
        error = None
        try:
            cause = self._claimed.cause(PAGE)
            await self._recorder.execute(self._task.task_id, PAGE_COMMANDS[called.action], cause)
        except Rejected as rejection:
            error = str(rejection)
        except Exception:  # whatever it was, the page must not wait for an answer without end
            _logger.exception("a call of the page failed", task_id=self._task.task_id)
            error = FAILED
        self.child.tell(protocol.PageCallAnswered(call=called.call, error=error))

    def _pass(self, event: Event) -> float | None:
        """Tell the child; the seconds that it may live on, when it is to end."""
        match event:
            case events.PauseRequested():
                self.child.tell(protocol.Pause())
            case events.ResumeRequested():
                self.child.tell(protocol.Resume())
            case events.RefreshRequested():
                self._refreshes.put_nowait(event)
            case events.StopRequested(force=force):
                self.stopping = True
                self.child.tell(protocol.Stop())
                return FORCED_SEAL_S if force else SEAL_S
            case events.RecorderLost(epoch=self._task.epoch):
                self._abandon()
            case events.RecordingClaimed() as claimed if claimed.epoch > self._task.epoch:
                self._abandon()
        return None

    def _abandon(self) -> None:
        self._log.warning("another recorder owns this task now")
        self.owner = False
        self.child.kill()

    async def _pass_refreshes(self) -> None:
        """Pass refreshes on in their order, each with its URL unsealed, which may take a while."""
        while True:
            requested = await self._refreshes.get()
            try:
                record_url = await self._unsealed(requested)
            except SecretsUnavailable as error:
                await self._not_refreshed(str(error))
            except Exception:  # whatever it was, those behind it go on
                _logger.exception("a refresh failed", task_id=self._task.task_id)
                await self._not_refreshed(FAILED)
            else:
                self.child.tell(protocol.Refresh(record_url=record_url))

    async def _not_refreshed(self, why: str) -> None:
        failure = Failure(code="InternalError", message=why)
        cause = self._claimed.cause(self._recorder.actor)
        report = commands.ReportRefreshed(self._task.epoch, failure)
        await self._recorder.report(self._task.task_id, report, cause)

    async def _unsealed(self, requested: events.RefreshRequested) -> str | None:
        if requested.secrets_key is None:
            return None
        async for attempt in stamina.retry_context(
            on=LogUnavailable, attempts=None, timeout=None, wait_max=5.0
        ):
            with attempt:
                secrets = await self._recorder.secrets.unseal(requested.secrets_key)
        return secrets.record_url
