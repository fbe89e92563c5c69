"""Identifiers that become subjects, keys and paths, and therefore may hold only harmless characters."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

TASK_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

TaskId = Annotated[str, Field(pattern=TASK_ID_PATTERN)]


class Priority(StrEnum):
    """How soon a waiting task is claimed."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
