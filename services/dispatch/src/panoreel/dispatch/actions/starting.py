"""`Start`: a recording."""

from panoreel.contracts import commands, events
from panoreel.contracts.identifiers import Priority
from panoreel.contracts.urls import redacted
from panoreel.dispatch.actions.calls import Call, Data
from panoreel.dispatch.actions.creating import Creating, NewTask, Origin, check_places
from panoreel.dispatch.parameters import DEFAULT_DURATION_S, Deployment, StartParameters
from panoreel.dispatch.reach import check_reach
from panoreel.eventlog.secrets import TaskSecrets


class Starting:
    """Starts recordings of what the deployment allows."""

    def __init__(self, creating: Creating, deployment: Deployment) -> None:
        self._creating = creating
        self._deployment = deployment

    async def start(self, call: Call) -> Data:
        """Create a task that a recorder will claim, or find the one that the same request created before."""
        parameters = StartParameters.parse(call.data)

        async def prepare(origin: Origin) -> NewTask:
            return await self._prepare(origin, parameters)

        return await self._creating.once(call.caller.application, parameters, call.request_id, prepare)

    async def _prepare(self, origin: Origin, parameters: StartParameters) -> NewTask:
        deployment = self._deployment
        storage_type = parameters.storage_type(deployment.storage_types)
        key = parameters.Output.Video.key(deployment.hls_key_mode)
        output = parameters.Output.request(deployment)
        allowed = deployment.allowed_networks
        await check_reach("RecordURL", parameters.RecordURL, allowed)
        await check_places(output, origin.public_id, parameters.CallbackURL, allowed)
        secrets = TaskSecrets(
            record_url=parameters.RecordURL,
            callback_url=parameters.CallbackURL or None,
            browser=parameters.browser_settings(),
            hls_key=key and key.hex(),
        )
        return NewTask(commands.Create(_event(origin, parameters, storage_type, output)), secrets)


def _event(
    origin: Origin,
    parameters: StartParameters,
    storage_type: events.StorageType,
    output: events.OutputRequest,
) -> events.TaskCreated:
    callback_url = parameters.CallbackURL
    return events.TaskCreated(
        application=origin.application,
        request_digest=origin.request_digest,
        record_url=redacted(parameters.RecordURL),
        callback_url=redacted(callback_url) if callback_url else None,
        secrets_key=origin.secrets_key,
        encoder=parameters.encoder(),
        max_duration_s=parameters.MaxDurationLimit or DEFAULT_DURATION_S,
        storage_type=storage_type,
        manual_start=parameters.ManualStart,
        page_title=parameters.PageTitle or None,
        page_policy=parameters.page_policy(),
        priority=Priority(parameters.Priority),
        queue_timeout_s=parameters.QueueTimeout or None,
        output=output,
    )
