"""Whether log, archive and read model tell the same: every task is folded again from both, and compared."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from panoreel.contracts.task import Task, evolve
from panoreel.contracts.upcasters import decode
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
    for task_id in sorted(projected.keys() | archived.keys()):
        findings += [
            f"task {task_id}: {finding}"
            async for finding in _audit_task(task_id, projected.get(task_id), archived.get(task_id, []), log)
        ]
    return findings


async def _audit_task(
    task_id: str, row: Row[Any] | None, archive: Sequence[Row[Any]], log: EventLog
) -> AsyncIterator[str]:
    logged = [stored async for stored in log.history(task_id)]
    archived_ids = [event.event_id for event in archive]
    # The stream forgets after its retention, the archive never does.
    if logged and [stored.envelope.id for stored in logged] != archived_ids[-len(logged) :]:
        yield "the archive's events are not the log's"
    task: Task | None = None
    for event in archive:
        task = evolve(task, task_id, decode(event.type, event.version, event.data), event.time)
    if row is None:
        yield "it is archived but missing in the read model"
    elif task is None:
        yield "it is in the read model but not archived"
    elif json.loads(task.model_dump_json()) != row.state:
        yield "the read model is not what its events add up to"
    elif archive[-1].seq != row.last_seq:
        yield "the read model's position is not that of its last event"
