"""Identifiers that become subjects, keys and paths, and therefore may hold only harmless characters."""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final

from pydantic import Field

PUBLIC_TASK_ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
"""A task's id as its application knows it, under which it may not have two tasks."""

TASK_ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,80}$"
"""A task's id in the log, unique in the whole deployment: the public one behind the application's tag."""

TaskId = Annotated[str, Field(pattern=TASK_ID_PATTERN)]

_TAG_DIGITS: Final = 12


def scoped(application: str, public_id: str) -> str:
    """The id in the log of the task that `application` calls `public_id`; without applications the same."""
    return f"{_tag(application)}{public_id}"


def public(application: str, task_id: str) -> str:
    """What `application` calls the task whose id in the log is `task_id`."""
    return task_id.removeprefix(_tag(application))


def _tag(application: str) -> str:
    # Of fixed length and behind a separator that ids may hold: nothing else makes the same id of two pairs.
    return f"{sha256(application.encode()).hexdigest()[:_TAG_DIGITS]}_" if application else ""


class Priority(StrEnum):
    """How soon a waiting task is claimed."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
