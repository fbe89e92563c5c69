"""Whose task it is, what they call it, and the indexes by which lists and admins look."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("application", sa.Text))
    op.add_column("tasks", sa.Column("public_id", sa.Text))
    # An application's tag before the public id has 13 characters, see `identifiers.scoped`.
    op.execute(
        "UPDATE tasks SET application = coalesce(state->>'application', ''),"
        " public_id = CASE WHEN coalesce(state->>'application', '') = ''"
        " THEN task_id ELSE substr(task_id, 14) END"
    )
    op.alter_column("tasks", "application", nullable=False)
    op.alter_column("tasks", "public_id", nullable=False)
    op.create_index("ix_tasks_public_id", "tasks", ["public_id"])
    op.create_index("ix_tasks_application_create_time", "tasks", ["application", "create_time"])
