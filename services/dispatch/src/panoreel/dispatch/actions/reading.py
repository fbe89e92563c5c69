"""The actions that only tell."""

from panoreel.contracts.answers import describe
from panoreel.contracts.task import Task
from panoreel.dispatch.actions.calls import Call, Caller, Data
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.details import detail
from panoreel.dispatch.parameters import ListParameters, TaskParameters
from panoreel.dispatch.readmodel import Selection


class Reading:
    """Tells of tasks and their events."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    async def describe(self, call: Call) -> Data:
        """A task's public fields."""
        return describe(await self._task(call))

    async def describe_detail(self, call: Call) -> Data:
        """All that is known about a task."""
        return detail(await self._task(call))

    async def list_tasks(self, call: Call) -> Data:
        """The caller's tasks, newest first, a page at a time; an admin's are everybody's."""
        parameters = ListParameters.parse(call.data)
        selection = Selection(
            self._tasks.application(call.caller, parameters.Application),
            None if parameters.Status == "all" else parameters.Status == "finished",
            parameters.start,
            parameters.end,
        )
        total, tasks = await self._tasks.select(selection, parameters.Offset, parameters.Limit)
        return {"Total": total, "Tasks": [detail(task) for task in tasks]}

    async def history(self, caller: Caller, parameters: TaskParameters) -> list[Data]:
        """A task's events, oldest first; empty for an unknown task."""
        return await self._tasks.history(await self._tasks.identify(caller, parameters))

    async def _task(self, call: Call) -> Task:
        return await self._tasks.get(await self._tasks.identify(call.caller, TaskParameters.parse(call.data)))
