"""The Postgres connection, and a schema that is up to date."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA_REVISION: Final = "0002"
"""The newest migration; what the tables in `readmodel` describe."""

_MIGRATION_LOCK: Final = 0x70616E31
MIGRATIONS: Final = Path(__file__).parent / "migrations"


@asynccontextmanager
async def connect(dsn: str) -> AsyncIterator[AsyncEngine]:
    """An engine for `dsn` (`postgresql://…`), disposed of at the end."""
    engine = create_async_engine(make_url(dsn).set(drivername="postgresql+asyncpg"), pool_pre_ping=True)
    try:
        yield engine
    finally:
        await engine.dispose()


async def migrate(engine: AsyncEngine) -> None:
    """Run the migrations that are missing. Replicas that start together wait for one another."""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if await connection.run_sync(_revision) != SCHEMA_REVISION:
            await connection.run_sync(_upgrade)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    # Imported only when there is something to migrate: it would slow down every start.
    from alembic import command

    command.upgrade(migration_config(connection), "head")


def migration_config(connection: Connection | None = None) -> "Config":
    """Alembic's view of this package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
