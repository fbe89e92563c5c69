"""The event log: the one way in which events are written, and the ways in which they are read."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, NotFoundError
from uuid_utils.compat import uuid7

from panoreel.contracts import commands, subjects
from panoreel.contracts.commands import Command, decide
from panoreel.contracts.envelope import Cause, Envelope, StoredEvent
from panoreel.contracts.events import Event
from panoreel.contracts.task import Task, evolve
from panoreel.contracts.upcasters import decode
from panoreel.eventlog.connection import REQUEST_TIMEOUT_S, connected
from panoreel.eventlog.errors import Conflict, Contention, LogUnavailable
from panoreel.eventlog.reading import read, scan, sequence
from panoreel.eventlog.topology import TASKS

DECISION_ATTEMPTS: Final = 5
PUBLISH_ATTEMPTS: Final = 4

_WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
"""JetStream's error codes for an expectation that did not hold, alone and in a batch."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command led to: the task afterwards, its last position, and the events that were appended."""

    task: Task
    seq: int
    appended: tuple[StoredEvent, ...]


class EventLog:
    """Tasks as JetStream holds them. JetStream's acknowledgement is what makes an event true."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js = client.jetstream(timeout=REQUEST_TIMEOUT_S)

    async def execute(self, task_id: str, command: Command, cause: Cause) -> Outcome:
        """Decide upon the newest state and append what follows, again if the task moves meanwhile.

        Raises:
            Rejected: the task does not allow the command.
            Contention: other writers were faster each time.
            LogUnavailable: JetStream did not answer; whether the events were stored is not known.
        """
        task: Task | None = None
        seq = 0
        for attempt in range(DECISION_ATTEMPTS):
            # A new task has no history, and the expectation proves it.
            if attempt or not isinstance(command, commands.Create):
                task, seq = await self.load(task_id, direct=attempt == 0)
            events = decide(task, command)
            try:
                appended = await self.append(task_id, events, seq, cause) if events else ()
            except Conflict:
                continue
            for stored in appended:
                task = evolve(task, task_id, stored.event, stored.envelope.time)
            assert task is not None
            return Outcome(task, appended[-1].seq if appended else seq, appended)
        raise Contention(f"task {task_id} kept changing")

    async def load(self, task_id: str, *, direct: bool = False) -> tuple[Task | None, int]:
        """The task folded from the log, and its last position; `(None, 0)` when there is no such task."""
        task: Task | None = None
        seq = 0
        async for stored in self.history(task_id, direct=direct):
            task = evolve(task, task_id, stored.event, stored.envelope.time)
            seq = stored.seq
        return task, seq

    async def history(self, task_id: str, *, direct: bool = False) -> AsyncGenerator[StoredEvent]:
        """All events of a task so far. `direct` may miss the newest ones on a lagging replica."""
        async with aclosing(scan(self.js, TASKS, subjects.of_task(task_id), direct=direct)) as batches:
            async for batch in batches:
                for message in batch:
                    yield stored_event(message)

    async def follow(self, task_id: str, after: int) -> AsyncGenerator[StoredEvent]:
        """A task's events above position `after`, as they are appended, without end."""
        async with aclosing(read(self.js, TASKS, subjects.of_task(task_id), after)) as batches:
            async for batch in batches:
                for message in batch:
                    yield stored_event(message)

    async def read_all(self, after: int) -> AsyncGenerator[list[Msg]]:
        """Every task's messages above position `after`, in order and in batches, without end."""
        async with aclosing(read(self.js, TASKS, subjects.ANY_TASK_EVENT, after)) as batches:
            async for batch in batches:
                yield batch

    async def append(
        self, task_id: str, events: Sequence[Event], expected_seq: int, cause: Cause
    ) -> tuple[StoredEvent, ...]:
        """Append the events of one decision, all or none, if the task's last position is `expected_seq`.

        Raises:
            Conflict: the task has moved on.
            LogUnavailable: JetStream did not answer; whether the events were stored is not known.
        """
        now = datetime.now(UTC)
        envelopes = [Envelope(uuid7(), event.type, event.version, now, cause) for event in events]
        messages = [
            (
                subjects.of_event(task_id, event),
                event.model_dump_json().encode(),
                envelope.headers() | {"Nats-Expected-Stream": TASKS},
            )
            for event, envelope in zip(events, envelopes, strict=True)
        ]
        messages[0][2].update(_expectation(task_id, expected_seq))
        last_seq = await self._publish(task_id, messages, envelopes[0], expected_seq)
        first_seq = last_seq - len(events) + 1
        return tuple(
            StoredEvent(first_seq + offset, task_id, envelope, event)
            for offset, (event, envelope) in enumerate(zip(events, envelopes, strict=True))
        )

    async def _publish(
        self,
        task_id: str,
        messages: list[tuple[str, bytes, dict[str, str]]],
        first: Envelope,
        expected_seq: int,
    ) -> int:
        """Publish until it is certain whether the messages are stored; their last position.

        After a lost acknowledgement one server answers a repeat with a conflict and a cluster with
        "duplicate", so neither is trusted: what decides is whether our first event follows the expected one.
        """
        for _ in range(PUBLISH_ATTEMPTS):
            try:
                return await self._request(messages)
            except APIError as error:
                if error.err_code not in _WRONG_LAST_SEQUENCE:
                    raise LogUnavailable(f"JetStream refused an event: {error.description}") from error
                stored = await self._stored_after(task_id, expected_seq, first)
                if stored is None:
                    raise Conflict(f"task {task_id} is past position {expected_seq}") from error
            except (nats.errors.Error, TimeoutError):
                stored = await self._stored_after(task_id, expected_seq, first)
            if stored is not None:
                return stored + len(messages) - 1
        raise LogUnavailable("JetStream does not acknowledge events")

    async def _request(self, messages: list[tuple[str, bytes, dict[str, str]]]) -> int:
        """Publish one message plainly, several as an atomic batch (NATS ADR-50); the last one's position."""
        if len(messages) == 1:
            subject, payload, headers = messages[0]
            return (await self.js.publish(subject, payload, timeout=REQUEST_TIMEOUT_S, headers=headers)).seq
        batch_id = str(uuid7())
        answer = b""
        for number, (subject, payload, headers) in enumerate(messages, start=1):
            batch = {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            if number == len(messages):
                batch["Nats-Batch-Commit"] = "1"
            reply = await self.client.request(subject, payload, REQUEST_TIMEOUT_S, headers=headers | batch)
            answer = reply.data
            if answer and "error" in (parsed := json.loads(answer)):
                raise APIError.from_error(parsed["error"])
        return int(json.loads(answer)["seq"])

    async def _stored_after(self, task_id: str, seq: int, first: Envelope) -> int | None:
        """The position of `first` if it is the task's next event after `seq`, asked of the leader."""
        try:
            found = await self.js.get_msg(TASKS, seq + 1, subject=subjects.of_task(task_id), next=True)
        except NotFoundError:
            return None
        except (nats.errors.Error, TimeoutError) as error:
            raise LogUnavailable("JetStream does not answer") from error
        return found.seq if Envelope.from_headers(found.headers).id == first.id else None


def _expectation(task_id: str, seq: int) -> dict[str, str]:
    # The filter need not match the published subject, and a wrong one passes silently: both stem from one id.
    return {
        "Nats-Expected-Last-Subject-Sequence": str(seq),
        "Nats-Expected-Last-Subject-Sequence-Subject": subjects.of_task(task_id),
    }


def stored_event(message: Msg) -> StoredEvent:
    """A message of `TASKS` as an event.

    Raises:
        UndecodableEvent: this version of the software cannot read it.
    """
    envelope = Envelope.from_headers(message.headers)
    event = decode(envelope.type, envelope.version, json.loads(message.data))
    return StoredEvent(sequence(message), subjects.task_id_of(message.subject), envelope, event)


@asynccontextmanager
async def open_log(nats_url: str, name: str) -> AsyncIterator[EventLog]:
    """An `EventLog` on a connection of its own; `name` is the service's."""
    async with connected(nats_url, name) as client:
        yield EventLog(client)
