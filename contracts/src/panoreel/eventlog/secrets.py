"""Parameters that may not appear in any event: sealed in a bucket for as long as a stage needs them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import nats.errors
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ConfigDict, Field

from panoreel.contracts.browser import BrowserSettings
from panoreel.contracts.task import Phase
from panoreel.eventlog.errors import LogUnavailable, SecretsUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.topology import SECRETS


class TaskSecrets(BaseModel):
    """A task's parameters in full."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    record_url: str = Field(repr=False)
    callback_url: str | None = Field(default=None, repr=False)
    browser: BrowserSettings = Field(default=BrowserSettings(), repr=False)
    hls_key: str | None = Field(default=None, repr=False, description="AES-128, in 32 hexadecimal digits")


class SecretStore:
    """Sealed parameters by task. Of the Fernet `keys` the first seals and all unseal: keys can rotate."""

    def __init__(self, log: EventLog, keys: Sequence[str]) -> None:
        self._log = log
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    async def seal(self, key: str, secrets: TaskSecrets) -> None:
        """Store a task's secrets under its id, or under `<its id>.<something>`.

        They are sealed before the event that refers to them, so a leftover is overwritten.

        Raises:
            LogUnavailable: the bucket did not answer.
        """
        token = self._fernet.encrypt(secrets.model_dump_json().encode())
        try:
            bucket = await self._log.js.key_value(SECRETS)
            await bucket.put(key, token)
        except (nats.errors.Error, TimeoutError) as error:
            raise LogUnavailable("the secrets bucket does not answer") from error

    async def unseal(self, key: str) -> TaskSecrets:
        """Read back what was sealed under `key`.

        Raises:
            SecretsUnavailable: they were purged, or sealed with another key.
            LogUnavailable: the bucket did not answer.
        """
        try:
            bucket = await self._log.js.key_value(SECRETS)
            entry = await bucket.get(key)
            return TaskSecrets.model_validate_json(self._fernet.decrypt(entry.value or b""))
        except (NotFoundError, InvalidToken) as error:
            raise SecretsUnavailable(SecretsUnavailable.__doc__) from error
        except (nats.errors.Error, TimeoutError) as error:
            raise LogUnavailable("the secrets bucket does not answer") from error

    async def purge(self, task_id: str) -> None:
        """Forget all that was ever sealed for a task; without error when there is nothing.

        Raises:
            LogUnavailable: the bucket did not answer.
        """
        try:
            for key in (task_id, f"{task_id}.>"):
                await self._log.js.purge_stream(f"KV_{SECRETS}", subject=f"$KV.{SECRETS}.{key}")
        except (nats.errors.Error, TimeoutError) as error:
            raise LogUnavailable("the secrets bucket does not answer") from error

    async def sweep(self, age: timedelta) -> list[str]:
        """Forget what nobody will purge: secrets of tasks that have finished, or were never created.

        Those are told by their `age`: what is younger may still get its task. Returns their keys.

        Raises:
            LogUnavailable: the bucket or the log did not answer.
        """
        before = datetime.now(UTC) - age
        stream, prefix = f"KV_{SECRETS}", f"$KV.{SECRETS}."
        swept = []
        try:
            info = await self._log.js.stream_info(stream, subjects_filter=f"{prefix}>")
            for subject in info.state.subjects or {}:
                sealed = await self._log.js.get_last_msg(stream, subject)
                key = subject.removeprefix(prefix)
                task, _ = await self._log.load(key.partition(".")[0])
                missing = task is None and sealed.time is not None and sealed.time < before
                if missing or (task and task.phase == Phase.FINISHED):
                    await self._log.js.purge_stream(stream, subject=subject)
                    swept.append(key)
        except (nats.errors.Error, TimeoutError) as error:
            raise LogUnavailable("the secrets bucket does not answer") from error
        return swept
