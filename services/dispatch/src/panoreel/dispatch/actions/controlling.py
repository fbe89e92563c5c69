"""The actions that change a task which runs."""

from uuid import uuid4

from panoreel.contracts import commands
from panoreel.contracts.commands import Command
from panoreel.contracts.task import Phase
from panoreel.contracts.urls import redacted
from panoreel.dispatch.actions.calls import Call, Data
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.parameters import RefreshParameters, TaskParameters
from panoreel.dispatch.reach import check_reach
from panoreel.eventlog.errors import Contention
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.reach.addresses import Networks


class Controlling:
    """Pauses, resumes, refreshes and stops recordings, of public URLs or such in `allowed` networks."""

    def __init__(self, tasks: Tasks, secrets: SecretStore, allowed: Networks) -> None:
        self._tasks = tasks
        self._secrets = secrets
        self._allowed = allowed

    async def pause(self, call: Call) -> Data:
        """Hold capture; success without effect when it is held."""
        return await self._command(call, commands.Pause())

    async def resume(self, call: Call) -> Data:
        """Capture again; success without effect when it runs."""
        return await self._command(call, commands.Resume())

    async def stop(self, call: Call) -> Data:
        """End a recording; success without effect when it has ended."""
        return await self._command(call, commands.Stop(reason="api"))

    async def force_stop(self, call: Call) -> Data:
        """End a recording even if its recorder hangs."""
        return await self._command(call, commands.ForceStop())

    async def refresh(self, call: Call) -> Data:
        """Load the page again, or another one in its place; success without effect unless it is recorded."""
        parameters = RefreshParameters.parse(call.data)
        task_id = await self._tasks.identify(call.caller, parameters)
        if parameters.RecordURL is None:
            await self._tasks.execute(task_id, commands.Refresh(), call.request_id)
        else:
            await self._switch(task_id, parameters.RecordURL, call.request_id)
        return {"TaskID": parameters.TaskID}

    async def _command(self, call: Call, command: Command) -> Data:
        parameters = TaskParameters.parse(call.data)
        task_id = await self._tasks.identify(call.caller, parameters)
        await self._tasks.execute(task_id, command, call.request_id)
        return {"TaskID": parameters.TaskID}

    async def _switch(self, task_id: str, record_url: str, request_id: str) -> None:
        """Go on with the page at `record_url`, which is sealed before the event that refers to it."""
        task = await self._tasks.get(task_id)
        await check_reach("RecordURL", record_url, self._allowed)
        if task.phase != Phase.RECORDING:
            return
        key = f"{task_id}.{uuid4().hex}"
        await self._secrets.seal(key, TaskSecrets(record_url=record_url))
        try:
            command = commands.Refresh(record_url=redacted(record_url), secrets_key=key)
            task = await self._tasks.execute(task_id, command, request_id)
        except (commands.Rejected, Contention):
            await self._secrets.purge(key)
            raise
        if task.phase != Phase.RECORDING:
            # It ended meanwhile, and nobody will purge what was sealed after its last stage.
            await self._secrets.purge(key)
