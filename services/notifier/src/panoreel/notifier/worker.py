"""What the notifier does: it tells how a task ended, says so in the log, and forgets the task's secrets."""

import asyncio
from collections.abc import Callable
from typing import Final

from structlog.contextvars import bound_contextvars

from panoreel.contracts.commands import ReportCallback
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import CallbackDelivered, CallbackFailed, CallbackSkipped, Failure
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, SecretsUnavailable
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.reactions import reacting
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.topology import NOTIFIER
from panoreel.notifier.callback import Message, Reach, deliver
from panoreel.notifier.settings import NotifierSettings

SERVICE: Final = "notifier"

AT_ONCE: Final = 8
"""How many receivers are told side by side: one that hangs must not keep others waiting."""


async def work(settings: NotifierSettings, ready: Callable[[], None]) -> None:
    """Notify until cancelled."""
    nats_url = settings.nats_url.get_secret_value()
    async with open_log(nats_url, SERVICE) as log:
        secrets = SecretStore(log, [key.get_secret_value() for key in settings.secret_keys])
        notifier = Notifier(log, secrets, Reach(settings.allowed_networks))
        started = asyncio.Barrier(AT_ONCE + 1)

        async def listen() -> None:
            async with reacting(nats_url, SERVICE, NOTIFIER, notifier.tell, notifier.give_up):
                await started.wait()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as listeners:
            for _ in range(AT_ONCE):
                listeners.create_task(listen())
            await started.wait()
            ready()


class Notifier:
    """Tells receivers. One may hear the same result again after a crash."""

    def __init__(self, log: EventLog, secrets: SecretStore, reach: Reach) -> None:
        self._log = log
        self._secrets = secrets
        self._reach = reach

    async def tell(self, ended: StoredEvent) -> None:
        """React to the event after which nothing but the callback remains, as often as it is delivered.

        Raises:
            Permanent: where to send the result cannot be found out any more.
        """
        task, _ = await self._log.load(ended.task_id)
        if task and task.phase == Phase.CALLBACK:
            report = ReportCallback(await self._tell(task))
            await self._log.execute(task.task_id, report, ended.cause(SERVICE))
        await self._secrets.purge(ended.task_id)

    async def give_up(self, ended: StoredEvent, failure: Failure) -> None:
        """Finish the task, although its receiver was not told."""
        failed = CallbackFailed(attempts=0, last_error=failure.message)
        await self._log.execute(ended.task_id, ReportCallback(failed), ended.cause(SERVICE))
        await self._secrets.purge(ended.task_id)

    async def _tell(self, task: Task) -> CallbackDelivered | CallbackFailed | CallbackSkipped:
        if task.callback_url is None:
            return CallbackSkipped()
        try:
            secrets = await self._secrets.unseal(task.secrets_key)
        except SecretsUnavailable as error:
            raise Permanent("InternalError", str(error)) from error
        if secrets.callback_url is None:
            return CallbackSkipped()
        with bound_contextvars(task_id=task.task_id):
            return await deliver(Message.about(task), secrets.callback_url, self._reach)
