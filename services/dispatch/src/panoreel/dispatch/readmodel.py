"""The tables of dispatch, and the questions that are answered from them.

`events` is the archive of the log, `tasks` what its events add up to, `positions` how far both are.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

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
    Column("application", Text, nullable=False),
    Column("public_id", Text, nullable=False, index=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("state", JSONB, nullable=False),
    Index("ix_tasks_application_create_time", "application", "create_time"),
)

positions = Table(
    "positions",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("stream_created", DateTime(timezone=True), nullable=False),
    Column("seq", BigInteger, nullable=False),
)


_SELECTED: Final = """
    ($1::text IS NULL OR application = $1)
    AND ($2::boolean IS NULL OR (status = 'finished') = $2)
    AND ($3::timestamptz IS NULL OR create_time >= $3)
    AND ($4::timestamptz IS NULL OR create_time < $4 + interval '1 second')
"""


class ReadModelUnavailable(Exception):
    """The read model cannot be asked now."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks are meant; None leaves out a condition. Times are whole seconds, and inclusive."""

    application: str | None
    finished: bool | None
    start: datetime | None
    end: datetime | None


class ReadModel:
    """Reads, each a single SELECT without a transaction around it.

    They go to asyncpg directly: through SQLAlchemy's asyncio layer, the SELECT behind `Describe` takes five
    times as long. Every read raises `ReadModelUnavailable` when the database fails or is silent.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def task(self, task_id: str) -> Task | None:
        """A task as projected so far; None when there is no such task yet."""
        rows = await self._fetch("SELECT state FROM tasks WHERE task_id = $1", task_id)
        return Task.model_validate_json(rows[0]["state"], extra="ignore") if rows else None

    async def ids(self, public_id: str) -> list[str]:
        """The ids in the log of the tasks that any application calls `public_id`."""
        rows = await self._fetch("SELECT task_id FROM tasks WHERE public_id = $1", public_id)
        return [row["task_id"] for row in rows]

    async def select(self, selection: Selection, offset: int, limit: int) -> tuple[int, list[Task]]:
        """How many tasks are selected, and those after the first `offset`, newest first."""
        # In one statement, so that both tell of the same moment.
        query = f"""
            SELECT (SELECT count(*) FROM tasks WHERE {_SELECTED}) AS total, ARRAY(
                SELECT state FROM tasks WHERE {_SELECTED}
                ORDER BY create_time DESC, task_id DESC OFFSET $5 LIMIT $6
            ) AS states
        """
        conditions = selection.application, selection.finished, selection.start, selection.end
        [row] = await self._fetch(query, *conditions, offset, limit)
        return row["total"], [Task.model_validate_json(state, extra="ignore") for state in row["states"]]

    async def history(self, task_id: str) -> list[dict[str, Any]]:
        """A task's archived events in order, as the API shows them; times in RFC 3339, UTC."""
        query = "SELECT seq, type, time, actor, data FROM events WHERE task_id = $1 ORDER BY seq"
        return [
            show_event(row["seq"], row["type"], row["time"], row["actor"], row["data"])
            for row in await self._fetch(query, task_id)
        ]

    async def ping(self) -> None:
        """Make sure that the database answers."""
        await self._fetch("SELECT")

    async def _fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S), self._pool.acquire() as connection:
                rows: list[asyncpg.Record] = await connection.fetch(query, *values)
                return rows
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise ReadModelUnavailable("the database does not answer") from error


def show_event(seq: int, event_type: str, time: datetime, actor: str, data: str | bytes) -> dict[str, Any]:
    """An event as the API shows it; `data` is JSON, and the time in UTC."""
    return {
        "Seq": seq,
        "Type": event_type,
        "Time": time.isoformat().replace("+00:00", "Z"),
        "Actor": actor,
        "Data": json.loads(data),
    }


@asynccontextmanager
async def open_read_model(dsn: str) -> AsyncIterator[ReadModel]:
    """A read model on connections of its own."""
    async with asyncpg.create_pool(dsn, min_size=1, reset=_as_it_is) as pool:
        yield ReadModel(pool)


async def _as_it_is(_connection: object) -> None:
    """A SELECT leaves nothing behind, and resetting a connection takes as long as one."""
