"""`Start`: with a `TaskID`, it may be repeated until its answer arrives, and creates one task."""

from uuid import uuid4

from panoreel.contracts import commands, events, names
from panoreel.contracts.commands import TaskExists
from panoreel.contracts.events import StorageType
from panoreel.contracts.identifiers import Priority, scoped
from panoreel.contracts.urls import redacted
from panoreel.dispatch.actions.calls import Call, Data
from panoreel.dispatch.actions.repetition import RequestDigests
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.parameters import DEFAULT_DURATION_S, InvalidParam, StartParameters
from panoreel.dispatch.reach import check_reach
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.reach.addresses import Networks


class Starting:
    """Creates tasks of public URLs or such in `allowed` networks; media may rest in `storage_types`."""

    def __init__(
        self,
        tasks: Tasks,
        secrets: SecretStore,
        digests: RequestDigests,
        allowed: Networks,
        storage_types: tuple[StorageType, ...],
    ) -> None:
        self._tasks = tasks
        self._secrets = secrets
        self._digests = digests
        self._allowed = allowed
        self._storage_types = storage_types

    async def start(self, call: Call) -> Data:
        """Create a task that a recorder will claim, or find the one that the same request created before."""
        parameters = StartParameters.parse(call.data)
        public_id = parameters.TaskID or str(uuid4())
        task_id = scoped(call.caller.application, public_id)
        # What is refused today may have been allowed when the task was created: a repeat is told first.
        if not (parameters.TaskID and await self._is_repeated(task_id, parameters)):
            await self._check(parameters, public_id)
            await self._create(task_id, parameters, call)
        return {"TaskID": public_id}

    async def _check(self, parameters: StartParameters, public_id: str) -> None:
        """Refuse what the deployment cannot do.

        Raises:
            InvalidParam: naming the field.
        """
        parameters.storage_type(self._storage_types)
        try:
            names.check(parameters.output_request(), public_id)
        except ValueError as error:
            raise InvalidParam(f"Output.Cos.{error}") from error
        await check_reach("RecordURL", parameters.RecordURL, self._allowed)
        if parameters.CallbackURL:
            await check_reach("CallbackURL", parameters.CallbackURL, self._allowed)

    async def _create(self, task_id: str, parameters: StartParameters, call: Call) -> None:
        # A place of its own: whoever creates the task at the same time must find what they sealed.
        secrets_key = f"{task_id}.{uuid4().hex}"
        secrets = TaskSecrets(
            record_url=parameters.RecordURL,
            callback_url=parameters.CallbackURL or None,
            browser=parameters.browser_settings(),
        )
        await self._secrets.seal(secrets_key, secrets)
        created = self._task_created(call.caller.application, secrets_key, parameters)
        try:
            await self._tasks.execute(task_id, commands.Create(created), call.request_id)
        except TaskExists:
            await self._secrets.purge(secrets_key)
            await self._is_repeated(task_id, parameters)

    async def _is_repeated(self, task_id: str, parameters: StartParameters) -> bool:
        """Whether the task exists already, by the same request.

        Raises:
            InvalidParam: it exists by another request.
        """
        task = await self._tasks.find(task_id)
        if task is None:
            return False
        if self._digests.recognizes(task.request_digest, parameters):
            return True
        raise InvalidParam(
            f"TaskID {task.public_id} is taken by a task with other parameters; "
            "use another one, or repeat exactly the same request"
        )

    def _task_created(
        self, application: str, secrets_key: str, parameters: StartParameters
    ) -> events.TaskCreated:
        callback_url = parameters.CallbackURL
        return events.TaskCreated(
            application=application,
            request_digest=self._digests.of(parameters),
            record_url=redacted(parameters.RecordURL),
            callback_url=redacted(callback_url) if callback_url else None,
            secrets_key=secrets_key,
            encoder=parameters.encoder(),
            max_duration_s=parameters.MaxDurationLimit or DEFAULT_DURATION_S,
            storage_type=parameters.storage_type(self._storage_types),
            manual_start=parameters.ManualStart,
            page_title=parameters.PageTitle or None,
            page_policy=parameters.page_policy(),
            priority=Priority(parameters.Priority),
            queue_timeout_s=parameters.QueueTimeout or None,
            output=parameters.output_request(),
        )
