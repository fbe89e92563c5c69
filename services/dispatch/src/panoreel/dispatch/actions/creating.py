"""How a task comes to be: with an id of its caller's own, a request may be repeated, and creates one task."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from panoreel.contracts import commands, names
from panoreel.contracts.commands import TaskExists
from panoreel.contracts.events import OutputRequest
from panoreel.contracts.identifiers import scoped
from panoreel.dispatch.actions.calls import Data
from panoreel.dispatch.actions.repetition import Repeatable, RequestDigests
from panoreel.dispatch.actions.tasks import Tasks
from panoreel.dispatch.parameters import InvalidParam
from panoreel.dispatch.reach import check_reach
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.reach.addresses import Networks


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a new task comes from: whose it is, what they call it, and what its event says of its request."""

    application: str
    public_id: str
    secrets_key: str
    request_digest: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """What creates it, and what it keeps secret."""

    command: commands.Create | commands.CreateClip
    secrets: TaskSecrets


Prepare = Callable[[Origin], Awaitable[NewTask]]
"""Checks what is not known before, and raises `InvalidParam`."""


class Creating:
    """Creates tasks."""

    def __init__(self, tasks: Tasks, secrets: SecretStore, digests: RequestDigests) -> None:
        self._tasks = tasks
        self._secrets = secrets
        self._digests = digests

    async def once(self, application: str, parameters: Repeatable, request_id: str, prepare: Prepare) -> Data:
        """Create a task, or find the one that the same request created before; the action's answer.

        Raises:
            InvalidParam: the id is taken, or it cannot be prepared.
        """
        public_id = parameters.own_id or str(uuid4())
        task_id = scoped(application, public_id)
        # What is refused today may have been allowed when the task was created: a repeat is told first.
        if not (parameters.own_id and await self._is_repeated(task_id, parameters)):
            # A place of its own: whoever creates the task at the same time must find what they sealed.
            secrets_key = f"{task_id}.{uuid4().hex}"
            new = await prepare(Origin(application, public_id, secrets_key, self._digests.of(parameters)))
            await self._secrets.seal(secrets_key, new.secrets)
            try:
                await self._tasks.execute(task_id, new.command, request_id)
            except TaskExists:
                await self._secrets.purge(secrets_key)
                await self._is_repeated(task_id, parameters)
        return {"TaskID": public_id}

    async def _is_repeated(self, task_id: str, parameters: Repeatable) -> bool:
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
            f"{parameters.own_id_field} {task.public_id} is taken by a task with other parameters; "
            "use another one, or repeat exactly the same request"
        )


async def check_places(
    output: OutputRequest, public_id: str, callback_url: str | None, allowed: Networks
) -> None:
    """Make sure that the result can be stored and told where the caller wants it.

    Raises:
        InvalidParam: naming the field.
    """
    try:
        names.check(output, public_id)
    except ValueError as error:
        raise InvalidParam(f"Output.Cos.{error}") from error
    if callback_url:
        await check_reach("CallbackURL", callback_url, allowed)
