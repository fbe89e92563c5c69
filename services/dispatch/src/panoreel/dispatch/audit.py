"""Whether log, archive and read model tell the same: every task is folded again from both, and compared."""

import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from panoreel.contracts.task import Task, evolve
from panoreel.contracts.upcasters import decode
from panoreel.dispatch.projector import task_row
from panoreel.dispatch.readmodel import events, tasks
from panoreel.eventlog.log import EventLog


async def audit(engine: AsyncEngine, log: EventLog) -> list[str]:
    """One sentence for each difference; empty when all three agree."""
    findings: list[str] = []
    async with engine.connect() as connection:
        projected = {row.task_id: row for row in await connection.execute(select(tasks))}
        archived: dict[str, list[Row[Any]]] = {}
        for row in await connection.execute(select(events).order_by(events.c.seq)):
            archived.setdefault(row.task_id, []).append(row)
    logged = await _logged(log)
    for task_id in sorted(projected.keys() | archived.keys() | logged.keys()):
        found = _audit_task(
            task_id, projected.get(task_id), archived.get(task_id, []), logged.get(task_id, [])
        )
        findings += [f"task {task_id}: {finding}" for finding in found]
    return findings


async def _logged(log: EventLog) -> dict[str, list[UUID]]:
    """The ids of all events in the log up to now, by task."""
    extent = await log.extent()
    logged: dict[str, list[UUID]] = {}
    if extent.last_seq < extent.first_seq:
        return logged
    async with aclosing(log.read_all(extent.first_seq - 1)) as batches:
        async for batch in batches:
            for stored in batch:
                logged.setdefault(stored.task_id, []).append(stored.envelope.id)
            if batch[-1].seq >= extent.last_seq:
                break
    return logged


def _audit_task(
    task_id: str, row: Row[Any] | None, archive: Sequence[Row[Any]], logged: Sequence[UUID]
) -> Iterator[str]:
    archived_ids = [event.event_id for event in archive]
    # The stream forgets after its retention, the archive never does.
    if logged and list(logged) != archived_ids[-len(logged) :]:
        yield "the archive's events are not the log's"
    task: Task | None = None
    for event in archive:
        task = evolve(task, task_id, decode(event.type, event.version, event.data), event.time)
    if row is None and task is None:
        return
    if row is None:
        yield "it is archived but missing in the read model"
    elif task is None:
        yield "it is in the read model but not archived"
    elif task_row(task, archive[-1].seq) != row._asdict() | {"state": _as_today(row.state)}:
        yield "the read model is not what its events add up to"


def _as_today(state: dict[str, Any]) -> object:
    """What was projected before a field existed has that field's default; what is no task stays as it is."""
    try:
        return json.loads(Task.model_validate(state, extra="ignore").model_dump_json())
    except ValidationError:
        return state
