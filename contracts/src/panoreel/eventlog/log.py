"""The event log: the one way in which events are written, and the ways in which they are read."""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

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
from panoreel.contracts.upcasters import UndecodableEvent, decode
from panoreel.eventlog.connection import REQUEST_TIMEOUT_S, connected
from panoreel.eventlog.errors import Conflict, Contention, LogUnavailable
from panoreel.eventlog.reading import RETRY_S, read, scan, sequence
from panoreel.eventlog.topology import TASKS

FIRST_RETRY_S: Final = 0.01
"""The first pause before something is tried again; each further one is twice as long, up to `RETRY_S`."""

PATIENCE_S: Final = 15.0
"""How long an append or a load may take in all: a cluster elects a new leader within about ten seconds."""

DECIDING_S: Final = 15.0
"""How long a command is decided anew, because others are faster each time."""

WRONG_LAST_SEQUENCE: Final = 10071
"""JetStream's error code for an expectation that did not hold."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command led to: the task afterwards, its last position, and the events that were appended."""

    task: Task
    seq: int
    appended: tuple[StoredEvent, ...]


@dataclass(frozen=True, slots=True)
class LogExtent:
    """When the log was created, and the positions of its first and last event."""

    created: datetime
    first_seq: int
    last_seq: int


class EventLog:
    """Tasks as JetStream holds them. JetStream's acknowledgement is what makes an event true."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js = client.jetstream(timeout=REQUEST_TIMEOUT_S)

    async def execute(self, task_id: str, command: Command, cause: Cause) -> Outcome:
        """Decide upon the newest state and append what follows, again if the task moves meanwhile.

        Raises:
            Rejected: the task does not allow the command.
            Contention: other writers were faster each time, for `DECIDING_S`.
            LogUnavailable: JetStream did not answer; whether the events were stored is not known.
        """
        # A new task has no history, and the expectation proves it.
        is_new = isinstance(command, commands.Create | commands.CreateClip)
        deadline = time.monotonic() + DECIDING_S
        pause_s = FIRST_RETRY_S
        while True:
            task, seq = (None, 0) if is_new else await self.load(task_id)
            is_new = False
            events = decide(task, command)
            try:
                appended = await self.append(task_id, events, seq, cause) if events else ()
            except Conflict as error:
                if time.monotonic() > deadline:
                    raise Contention(f"task {task_id} kept changing") from error
                # At random: many who met here would otherwise meet again.
                await asyncio.sleep(random.uniform(0, pause_s))
                pause_s = min(2 * pause_s, RETRY_S)
                continue
            for stored in appended:
                task = evolve(task, task_id, stored.event, stored.envelope.time)
            assert task is not None
            return Outcome(task, appended[-1].seq if appended else seq, appended)

    async def load(self, task_id: str) -> tuple[Task | None, int]:
        """The task folded from the log, and its last position; `(None, 0)` when there is no such task.

        Raises:
            LogUnavailable: JetStream did not answer.
            UndecodableEvent: this version of the software cannot read the task's history.
        """
        task: Task | None = None
        seq = 0
        try:
            async with asyncio.timeout(PATIENCE_S), aclosing(self.history(task_id)) as history:
                async for stored in history:
                    task = evolve(task, task_id, stored.event, stored.envelope.time)
                    seq = stored.seq
        except TimeoutError as error:
            raise LogUnavailable("JetStream does not answer") from error
        return task, seq

    async def history(self, task_id: str) -> AsyncGenerator[StoredEvent]:
        """All events of a task so far."""
        async with aclosing(scan(self.js, TASKS, subjects.of_task(task_id))) as batches:
            async for batch in batches:
                for message in batch:
                    yield stored_event(message)

    async def follow(self, task_id: str, after: int) -> AsyncGenerator[StoredEvent]:
        """A task's events above position `after`, as they are appended, without end."""
        async with aclosing(read(self.js, TASKS, subjects.of_task(task_id), after)) as batches:
            async for batch in batches:
                for message in batch:
                    yield stored_event(message)

    async def read_all(self, after: int) -> AsyncGenerator[list[StoredEvent]]:
        """Every task's events above position `after`, in order and in batches, without end."""
        async with aclosing(read(self.js, TASKS, subjects.ANY_TASK_EVENT, after)) as batches:
            async for batch in batches:
                yield [stored_event(message) for message in batch]

    async def extent(self) -> LogExtent:
        """The log's creation time and bounds.

        Raises:
            LogUnavailable: JetStream did not answer.
        """
        try:
            info = await self.js.stream_info(TASKS)
        except (nats.errors.Error, TimeoutError) as error:
            raise LogUnavailable("JetStream does not answer") from error
        assert info.created is not None
        return LogExtent(info.created, info.state.first_seq, info.state.last_seq)

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
            StoredEvent(first_seq + offset, task_id, envelope, event, payload)
            for offset, (event, envelope, (_, payload, _)) in enumerate(
                zip(events, envelopes, messages, strict=True)
            )
        )

    async def _publish(
        self,
        task_id: str,
        messages: list[tuple[str, bytes, dict[str, str]]],
        first: Envelope,
        expected_seq: int,
    ) -> int:
        """Publish until it is certain whether the messages are stored; their last position.

        After a lost acknowledgement one server answers a repeat with a conflict, a cluster with "duplicate",
        and either may call a batch's ids duplicates; a cluster may also still be storing what was sent first.
        None of these answers is trusted: what decides is which event follows the expected one.
        """
        cause: Exception = TimeoutError()
        pause_s = FIRST_RETRY_S
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        return await self._request(messages)
                    except (nats.errors.Error, TimeoutError) as error:
                        cause = error
                    found = await self._next_after(task_id, expected_seq)
                    if found and found[1] == first.id:
                        return found[0] + len(messages) - 1
                    if found or (isinstance(cause, APIError) and cause.err_code == WRONG_LAST_SEQUENCE):
                        raise Conflict(f"task {task_id} is not at position {expected_seq}") from cause
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, RETRY_S)
        except TimeoutError:
            raise LogUnavailable(f"JetStream does not acknowledge events: {cause!r}") from cause

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

    async def _next_after(self, task_id: str, seq: int) -> tuple[int, UUID] | None:
        """Position and id of the task's first event above `seq`, if there is one, asked of the leader."""
        while True:
            try:
                found = await self.js.get_msg(TASKS, seq + 1, subject=subjects.of_task(task_id), next=True)
            except NotFoundError:
                return None
            except (nats.errors.Error, TimeoutError):
                await asyncio.sleep(RETRY_S)
            else:
                assert found.seq is not None
                return found.seq, Envelope.from_headers(found.headers).id


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
    try:
        data = json.loads(message.data)
    except ValueError as error:
        raise UndecodableEvent(f"{envelope.type} is not JSON: {error}") from error
    event = decode(envelope.type, envelope.version, data)
    return StoredEvent(sequence(message), subjects.task_id_of(message.subject), envelope, event, message.data)


@asynccontextmanager
async def open_log(nats_url: str, name: str) -> AsyncIterator[EventLog]:
    """An `EventLog` on a connection of its own; `name` is the service's."""
    async with connected(nats_url, name) as client:
        yield EventLog(client)
