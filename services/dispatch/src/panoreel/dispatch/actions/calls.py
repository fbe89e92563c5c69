"""What reaches an action: who calls, and what they ask."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose tasks a call may name. Without a key file, everybody is the application ""; `admin` sees all."""

    application: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its `Data`, who sent it, and the id by which it is found in the log."""

    data: Data = field(repr=False)
    caller: Caller
    request_id: str


Action = Callable[[Call], Awaitable[Data]]
"""An action's answer, without `RequestID`.

Raises:
    InvalidParam: `Data` is wrong.
    Rejected: the task does not exist or does not allow it.
    LogUnavailable, Contention: the event log did not take it.
    SecretsUnavailable: the task's sealed parameters cannot be read.
"""
