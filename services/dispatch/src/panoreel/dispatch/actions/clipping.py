"""`Clip`: a file that is cut from a recording, which may still run."""

from panoreel.contracts import commands, events, timeline
from panoreel.contracts.identifiers import public
from panoreel.contracts.task import Task
from panoreel.contracts.urls import redacted
from panoreel.dispatch.actions.calls import Call, Data
from panoreel.dispatch.actions.creating import Creating, NewTask, Origin, check_places
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.parameters import ClipParameters, Deployment, InvalidParam
from panoreel.eventlog.secrets import TaskSecrets


class Clipping:
    """Creates tasks that nobody records. A clip belongs to the application of its recording."""

    def __init__(self, creating: Creating, tasks: Tasks, deployment: Deployment) -> None:
        self._creating = creating
        self._tasks = tasks
        self._deployment = deployment

    async def clip(self, call: Call) -> Data:
        """Create a task that the transcoder will cut, or find the one that the same request created."""
        parameters = ClipParameters.parse(call.data)
        source = await self._tasks.get(await self._tasks.identify(call.caller, parameters))

        async def prepare(origin: Origin) -> NewTask:
            return await self._prepare(origin, parameters, source)

        return await self._creating.once(source.application, parameters, call.request_id, prepare)

    async def _prepare(self, origin: Origin, parameters: ClipParameters, source: Task) -> NewTask:
        output = parameters.Output.place(self._deployment)
        callback_url = parameters.CallbackURL or None
        await check_places(output, origin.public_id, callback_url, self._deployment.allowed_networks)
        ranges = parameters.ranges(await self._recorded_samples(source))
        created = events.ClipCreated(
            application=origin.application,
            request_digest=origin.request_digest,
            clip=events.ClipSource(task_id=source.task_id, ranges=ranges),
            record_url=source.record_url,
            callback_url=callback_url and redacted(callback_url),
            secrets_key=origin.secrets_key,
            encoder=source.encoder,
            storage_type=source.storage_type,
            output=output,
        )
        secrets = TaskSecrets(record_url=source.record_url, callback_url=callback_url)
        return NewTask(commands.CreateClip(created), secrets)

    async def _recorded_samples(self, source: Task) -> int:
        """How long the recording is so far.

        Raises:
            InvalidParam: there is nothing to cut from.
        """
        if source.clip:
            recording = public(source.application, source.clip.task_id)
            raise InvalidParam(f"TaskID {source.public_id} is a clip itself; cut from {recording} instead")
        samples = timeline.arrange(await self._tasks.segments(source)).samples
        if not samples:
            raise InvalidParam(f"TaskID {source.public_id} {_why_nothing_is_there(source)}")
        return samples


def _why_nothing_is_there(source: Task) -> str:
    if source.stop_time is None:
        return "has recorded nothing yet; try again in a few seconds"
    if source.last_index:
        return "has no media any more: it is removed some time after a recording was stored"
    return "has ended without any media"
