"""The tables of dispatch, and the questions that are answered from them.

`events` is the archive of the log, `tasks` what its events add up to, `positions` how far both are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, Uuid, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from panoreel.contracts.task import Task

READ_TIMEOUT_S: Final = 5.0

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("task_id", Text, nullable=False, index=True),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("correlation", Text),
    Column("causation", Text),
    Column("traceparent", Text),
    Column("data", JSONB, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("state", JSONB, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("stream_created", DateTime(timezone=True), nullable=False),
    Column("seq", BigInteger, nullable=False),
)


class ReadModel:
    """Reads, each on an autocommit connection: a single SELECT needs no transaction around it.

    Every read raises `SQLAlchemyError` or `OSError` when the database fails, or `TimeoutError`.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def task(self, task_id: str) -> Task | None:
        """A task as projected so far; None when there is no such task yet."""
        async with self._connection() as connection:
            query = select(tasks.c.state).where(tasks.c.task_id == task_id)
            state = (await connection.execute(query)).scalar()
        return None if state is None else Task.model_validate(state)

    async def history(self, task_id: str) -> list[dict[str, Any]]:
        """A task's archived events in order, as the API shows them; times in RFC 3339, UTC."""
        query = (
            select(events.c.seq, events.c.type, events.c.time, events.c.actor, events.c.data)
            .where(events.c.task_id == task_id)
            .order_by(events.c.seq)
        )
        async with self._connection() as connection:
            rows = (await connection.execute(query)).all()
        return [
            {
                "Seq": row.seq,
                "Type": row.type,
                "Time": row.time.isoformat().replace("+00:00", "Z"),
                "Actor": row.actor,
                "Data": row.data,
            }
            for row in rows
        ]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with asyncio.timeout(READ_TIMEOUT_S), self._engine.connect() as connection:
            yield connection
