"""The actions of the API, each a decision about one task."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from panoreel.contracts import commands, events, names
from panoreel.contracts.answers import describe
from panoreel.contracts.commands import TaskNotFound
from panoreel.contracts.envelope import Cause
from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.task import Task
from panoreel.contracts.urls import redacted
from panoreel.dispatch.parameters import (
    DEFAULT_DURATION_S,
    DEFAULT_HEIGHT,
    DEFAULT_WIDTH,
    InvalidParam,
    StartParameters,
    parse_start,
    parse_task_id,
)
from panoreel.dispatch.projection import Projection
from panoreel.dispatch.projector import Projector
from panoreel.dispatch.readmodel import ReadModel
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.secrets import SecretStore, TaskSecrets

Data = dict[str, Any]
Action = Callable[[Data, str], Awaitable[Data]]


class Actions:
    """Each action takes `Data` and the request's id, and returns the answer's fields.

    Raises:
        InvalidParam: `Data` is wrong.
        Rejected: the task does not exist or does not allow it.
        LogUnavailable, Contention: the event log did not take it.
    """

    def __init__(
        self,
        log: EventLog,
        read_model: ReadModel,
        projection: Projection,
        projector: Projector,
        secrets: SecretStore,
    ) -> None:
        self._log = log
        self._read_model = read_model
        self._projection = projection
        self._projector = projector
        self._secrets = secrets
        self.by_name: Mapping[str, Action] = {
            "Start": self.start,
            "Stop": self.stop,
            "Cancel": self.stop,
            "Describe": self.describe,
        }

    async def start(self, data: Data, request_id: str) -> Data:
        """Create a task that a recorder will claim."""
        parameters = parse_start(data)
        task_id = str(uuid4())
        try:
            names.check(parameters.output_request(), task_id)
        except ValueError as error:
            raise InvalidParam(f"Output.Cos.{error}") from error
        secrets = TaskSecrets(record_url=parameters.RecordURL, callback_url=parameters.CallbackURL)
        await self._secrets.seal(task_id, secrets)
        await self._execute(task_id, commands.Create(_task_created(task_id, parameters)), request_id)
        return {"TaskID": task_id}

    async def stop(self, data: Data, request_id: str) -> Data:
        """End a recording; success without effect when it has ended."""
        task_id = parse_task_id(data)
        await self._execute(task_id, commands.Stop(reason="api"), request_id)
        return {"TaskID": task_id}

    async def describe(self, data: Data, _request_id: str) -> Data:
        """A task's public fields."""
        return describe(await self._task(parse_task_id(data)))

    async def history(self, task_id: str) -> list[Data]:
        """A task's events, oldest first; empty for an unknown task."""
        return await self._read_model.history(task_id)

    async def _task(self, task_id: str) -> Task:
        stale = self._projection.lagging or self._projector.failure
        task = None if stale else await self._read_model.task(task_id)
        if task is None:
            # Another replica may just have created it, or the read model is behind: the log knows.
            task, _ = await self._log.load(task_id)
        if task is None:
            raise TaskNotFound(TaskNotFound.__doc__)
        return task

    async def _execute(self, task_id: str, command: commands.Command, request_id: str) -> None:
        outcome = await self._log.execute(task_id, command, Cause("dispatch", correlation=request_id))
        await self._projection.reached(outcome.seq)


def _task_created(task_id: str, parameters: StartParameters) -> events.TaskCreated:
    callback_url = parameters.CallbackURL
    return events.TaskCreated(
        record_url=redacted(parameters.RecordURL),
        callback_url=redacted(callback_url) if callback_url else None,
        secrets_key=task_id,
        encoder=EncoderParameters(
            width=parameters.Width or DEFAULT_WIDTH, height=parameters.Height or DEFAULT_HEIGHT
        ),
        max_duration_s=parameters.MaxDurationLimit or DEFAULT_DURATION_S,
        storage_type=parameters.StorageType,
        output=parameters.output_request(),
    )
