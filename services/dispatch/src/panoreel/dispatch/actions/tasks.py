"""The tasks behind the API: which one a caller means, its newest state, and how it is changed."""

import asyncio
from contextlib import aclosing
from typing import Any
from weakref import WeakValueDictionary

from panoreel.contracts import commands
from panoreel.contracts.commands import TaskNotFound
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.identifiers import scoped
from panoreel.contracts.media import Segment
from panoreel.contracts.task import Task
from panoreel.dispatch.actions.calls import Caller
from panoreel.dispatch.parameters import InvalidParam, TaskParameters
from panoreel.dispatch.projection import Projection
from panoreel.dispatch.projector import Projector
from panoreel.dispatch.readmodel import ReadModel, ReadModelUnavailable, Selection, show_event
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import PATIENCE_S, EventLog
from panoreel.eventlog.outputs import media_in_file


class Tasks:
    """Reads from the read model, or from the log where that one is behind; writes to the log alone."""

    def __init__(
        self, log: EventLog, read_model: ReadModel, projection: Projection, projector: Projector
    ) -> None:
        self._log = log
        self._read_model = read_model
        self._projection = projection
        self._projector = projector
        # Calls about one task take turns: side by side, all but one would have to decide again each time.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def application(self, caller: Caller, named: str | None) -> str | None:
        """Whose tasks a call is about, None for everybody's.

        Raises:
            InvalidParam: somebody who is no admin named an application.
        """
        if caller.admin:
            return named
        if named is not None:
            raise InvalidParam("Application is for an admin's key; leave it out")
        return caller.application

    async def identify(self, caller: Caller, parameters: TaskParameters) -> str:
        """The id in the log of the task that the caller means; whether it exists is not said.

        An admin who names no application means their own task, or the only one of that id.

        Raises:
            InvalidParam: somebody who is no admin named an application.
            TaskNotFound: it is not the admin's own task, and several applications have one of that id.
        """
        public_id = parameters.TaskID
        application = self.application(caller, parameters.Application)
        if application is not None:
            return scoped(application, public_id)
        own = scoped(caller.application, public_id)
        return own if await self.find(own) else await self._only(public_id) or own

    async def find(self, task_id: str) -> Task | None:
        """The task of this id in the log, not older than any answer that was given; None without one."""
        task = None if self._behind else await self._read_model.task(task_id)
        if task is None:
            # Another replica may just have created it, or the read model is behind: the log knows.
            task, _ = await self._log.load(task_id)
        return task

    async def get(self, task_id: str) -> Task:
        """What `find` finds.

        Raises:
            TaskNotFound: nothing.
        """
        task = await self.find(task_id)
        if task is None:
            raise TaskNotFound(TaskNotFound.__doc__)
        return task

    async def select(self, selection: Selection, offset: int, limit: int) -> tuple[int, list[Task]]:
        """How many tasks there are in all, and a page of them, newest first."""
        if self._behind:
            # The log cannot be asked for many tasks, and an old list would be taken for true.
            raise ReadModelUnavailable("the read model is behind the log")
        return await self._read_model.select(selection, offset, limit)

    async def history(self, task_id: str) -> list[dict[str, Any]]:
        """A task's events, oldest first; empty for an unknown task."""
        archived = await self._read_model.history(task_id)
        if archived and not self._behind:
            return archived
        # The log has what is not archived yet, and may have forgotten what is.
        archived_seq = archived[-1]["Seq"] if archived else 0
        return archived + await self._logged(task_id, archived_seq)

    async def segments(self, recording: Task) -> list[Segment]:
        """The media of a recording so far, by epoch and index; empty when it was removed."""
        return await media_in_file(self._log, recording)

    async def execute(self, task_id: str, command: commands.Command, request_id: str) -> Task:
        """Make `command` true, and return once that can be read; the task afterwards."""
        turn = self._turns.setdefault(task_id, asyncio.Lock())
        try:
            async with turn:
                outcome = await self._log.execute(task_id, command, Cause("dispatch", correlation=request_id))
        except commands.Rejected:
            # What it was rejected for is in the log, and must not be undone by the next Describe.
            _, seq = await self._log.load(task_id)
            await self._projection.reached(seq)
            raise
        await self._projection.reached(outcome.seq)
        return outcome.task

    @property
    def _behind(self) -> bool:
        return self._projection.lagging or self._projector.failure is not None

    async def _logged(self, task_id: str, after: int) -> list[dict[str, Any]]:
        """The task's events in the log above position `after`."""
        try:
            async with asyncio.timeout(PATIENCE_S), aclosing(self._log.history(task_id)) as history:
                return [_shown(stored) async for stored in history if stored.seq > after]
        except TimeoutError as error:
            raise LogUnavailable("JetStream does not answer") from error

    async def _only(self, public_id: str) -> str | None:
        if self._behind:
            # The log cannot be asked for an id without its application.
            raise ReadModelUnavailable("the read model is behind the log: name Application")
        found = await self._read_model.ids(public_id)
        if len(found) > 1:
            raise TaskNotFound(
                f"{TaskNotFound.__doc__} in your application, and several others have one: name Application"
            )
        return found[0] if found else None


def _shown(stored: StoredEvent) -> dict[str, Any]:
    envelope = stored.envelope
    return show_event(stored.seq, envelope.type, envelope.time, envelope.cause.actor, stored.payload)
