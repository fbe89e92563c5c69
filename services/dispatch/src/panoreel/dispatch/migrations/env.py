"""Runs migrations on the connection that `database.migrate` hands over, inside its transaction."""

from alembic import context

from panoreel.dispatch.readmodel import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
