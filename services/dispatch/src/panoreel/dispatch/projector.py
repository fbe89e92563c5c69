"""The one writer of the read model: it follows the log without a hole, or stops and says why.

Archive, tasks and position change in one transaction, so that a crash leaves nothing half done and a repeated
message changes nothing. Among replicas, an advisory lock makes one the writer.
"""

import asyncio
import json
from contextlib import aclosing
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.task import MissingTask, Task, evolve
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.dispatch.projection import CHANNEL
from panoreel.dispatch.readmodel import events, positions, tasks
from panoreel.eventlog.errors import LogGap, LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.topology import TASKS

RETRY_S: Final = 1.0
_PROJECTOR_LOCK: Final = 0x70616E32

_logger = structlog.get_logger()


class Projector:
    """Projects `TASKS`. `failure` says what stopped it for good, and is None while all is well."""

    def __init__(self, log: EventLog, engine: AsyncEngine) -> None:
        self._log = log
        self._engine = engine
        self.failure: str | None = None

    async def run(self) -> None:
        """Project whenever this replica holds the lock, until cancelled."""
        while True:
            try:
                async with self._engine.connect() as guard:
                    try:
                        if await self._locked(guard):
                            await self._project()
                    finally:
                        # Back in the pool, the connection would keep the lock from other replicas.
                        await guard.invalidate()
            except (LogGap, UndecodableEvent, MissingTask) as error:
                # Going on would falsify the read model; a restart with a fit version or log heals it.
                self.failure = str(error)
                _logger.exception("the projection stopped")
                return
            except (DBAPIError, OSError, LogUnavailable) as error:
                _logger.warning("the projection is interrupted", error=repr(error))
            await asyncio.sleep(RETRY_S)

    async def _locked(self, guard: AsyncConnection) -> bool:
        query = text("SELECT pg_try_advisory_lock(:key)")
        locked = (await guard.execute(query, {"key": _PROJECTOR_LOCK})).scalar()
        # The lock belongs to the session; an open transaction would hold back vacuum for as long.
        await guard.commit()
        return bool(locked)

    async def _project(self) -> None:
        position = await self._verified_position()
        async with aclosing(self._log.read_all(position)) as batches:
            async for batch in batches:
                async with self._engine.begin() as transaction:
                    position = await _project_batch(transaction, position, batch)

    async def _verified_position(self) -> int:
        """Where to go on, after making sure that the stream is the one that was read so far."""
        extent = await self._log.extent()
        async with self._engine.begin() as transaction:
            start = insert(positions).values(stream=TASKS, stream_created=extent.created, seq=0)
            await transaction.execute(start.on_conflict_do_nothing())
            row = (await transaction.execute(select(positions).where(positions.c.stream == TASKS))).one()
        if row.stream_created != extent.created:
            raise LogGap(
                f"stream {TASKS} was created anew at {extent.created}: the read model stems from another"
            )
        if extent.last_seq < row.seq:
            raise LogGap(f"stream {TASKS} ends at {extent.last_seq}, but {row.seq} was projected already")
        if extent.first_seq > row.seq + 1:
            raise LogGap(f"stream {TASKS} begins at {extent.first_seq}, but only {row.seq} is projected")
        return int(row.seq)


async def _project_batch(transaction: AsyncConnection, position: int, batch: list[StoredEvent]) -> int:
    """Archive and fold a batch that follows `position`; the new position."""
    _check_contiguous(position, batch)
    ids = {stored.task_id for stored in batch}
    found = await transaction.execute(select(tasks.c.task_id, tasks.c.state).where(tasks.c.task_id.in_(ids)))
    folded: dict[str, tuple[Task, int]] = {
        row.task_id: (Task.model_validate(row.state, extra="ignore"), 0) for row in found.all()
    }
    for stored in batch:
        known = folded.get(stored.task_id)
        task = evolve(known and known[0], stored.task_id, stored.event, stored.envelope.time)
        folded[stored.task_id] = (task, stored.seq)
    await transaction.execute(insert(events), [_archive_row(stored) for stored in batch])
    upsert = insert(tasks)
    upsert = upsert.on_conflict_do_update(
        index_elements=["task_id"],
        set_={name: upsert.excluded[name] for name in ("last_seq", "status", "state")},
    )
    await transaction.execute(upsert, [task_row(task, seq) for task, seq in folded.values()])
    last = batch[-1].seq
    await transaction.execute(
        update(positions).where(positions.c.stream == bindparam("name")).values(seq=last), {"name": TASKS}
    )
    await transaction.execute(
        text("SELECT pg_notify(:channel, :seq)"), {"channel": CHANNEL, "seq": str(last)}
    )
    return last


def _check_contiguous(position: int, batch: list[StoredEvent]) -> None:
    for expected, stored in enumerate(batch, start=position + 1):
        if stored.seq != expected:
            raise LogGap(f"after position {expected - 1} the log goes on at {stored.seq}")


def _archive_row(stored: StoredEvent) -> dict[str, Any]:
    """The event as it was written, so that nothing a newer version added is lost."""
    envelope = stored.envelope
    return {
        "seq": stored.seq,
        "event_id": envelope.id,
        "task_id": stored.task_id,
        "type": envelope.type,
        "version": envelope.version,
        "time": envelope.time,
        "actor": envelope.cause.actor,
        "correlation": envelope.cause.correlation,
        "causation": envelope.cause.causation,
        "traceparent": envelope.cause.traceparent,
        "data": json.loads(stored.payload),
    }


def task_row(task: Task, seq: int) -> dict[str, Any]:
    """What the read model holds of a task whose last event is at position `seq`."""
    return {
        "task_id": task.task_id,
        "application": task.application,
        "public_id": task.public_id,
        "last_seq": seq,
        "status": task.status,
        "create_time": task.create_time,
        "state": json.loads(task.model_dump_json()),
    }
