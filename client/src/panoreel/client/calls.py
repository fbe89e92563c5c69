"""The requests of the API, each with how its answer is read: values, which either client sends."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

from panoreel.client.answers import SECONDS_FORMAT, SHANGHAI, Event, Recording, RecordingDetail, Recordings
from panoreel.client.errors import Unreachable
from panoreel.client.parameters import ClipRequest, StartRequest

Data = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, its body in JSON, and how the answer is read. `repeatable`: twice does no more than once."""

    method: Literal["GET", "POST"]
    path: str
    read: Callable[[Data], T]
    body: bytes = b""
    repeatable: bool = True

    def may_repeat_after(self, error: BaseException) -> bool:
        """Whether to send it again."""
        return isinstance(error, Unreachable) and (self.repeatable or not error.sent)


def act(action: str, data: Data) -> Call[Data]:
    """Any action, its answer as it comes; never repeated, since nothing is known of it."""
    return _action(action, data, lambda answer: answer, repeatable=False)


def start(request: StartRequest | str) -> Call[str]:
    """Start a recording; answers the task's id. An id chosen here makes it safe to send it again."""
    request = StartRequest(record_url=request) if isinstance(request, str) else request
    data = request.data()
    data.setdefault("TaskID", str(uuid4()))
    return _action("Start", data, lambda answer: str(answer["TaskID"]))


def clip(request: ClipRequest) -> Call[str]:
    """Cut a clip from a recording; answers the new task's id. An id chosen here makes repeating safe."""
    data = request.data()
    data.setdefault("ClipID", str(uuid4()))
    return _action("Clip", data, lambda answer: str(answer["TaskID"]))


def pause(task_id: str) -> Call[None]:
    """Leave out what the page shows from here on."""
    return _control("Pause", task_id)


def resume(task_id: str) -> Call[None]:
    """Go on recording after a pause."""
    return _control("Resume", task_id)


def refresh(task_id: str, record_url: str | None = None) -> Call[None]:
    """Load the page anew, or another page in its place."""
    data = {"TaskID": task_id} | ({} if record_url is None else {"RecordURL": record_url})
    return _action("Refresh", data, _nothing, repeatable=False)


def stop(task_id: str) -> Call[None]:
    """End a recording; its file is finished all the same."""
    return _control("Stop", task_id)


def force_stop(task_id: str) -> Call[None]:
    """End a recording whose page or recorder hangs; refused when it has ended, so that it is sent once."""
    return _action("ForceStop", {"TaskID": task_id}, _nothing, repeatable=False)


def describe(task_id: str) -> Call[Recording]:
    """A task's public state."""
    return _action("Describe", {"TaskID": task_id}, Recording.model_validate)


def describe_detail(task_id: str) -> Call[RecordingDetail]:
    """All that may be shown of a task."""
    return _action("DescribeDetail", {"TaskID": task_id}, RecordingDetail.model_validate)


def list_tasks(
    status: Literal["all", "running", "finished"],
    start_time: datetime | None,
    end_time: datetime | None,
    offset: int,
    limit: int,
) -> Call[Recordings]:
    """Tasks by status and time of creation, newest first.

    Raises:
        ValueError: a time has no time zone.
    """
    times = {"StartTime": start_time, "EndTime": end_time}
    data = {"Status": status, "Offset": offset, "Limit": limit}
    return _action(
        "List",
        data | {name: _in_words(name, time) for name, time in times.items() if time is not None},
        Recordings.model_validate,
    )


def events(task_id: str) -> Call[tuple[Event, ...]]:
    """A task's history, oldest first."""
    return Call("GET", f"/tasks/{quote(task_id, safe='')}/events", _read_events)


def _action(action: str, data: Data, read: Callable[[Data], T], *, repeatable: bool = True) -> Call[T]:
    body = json.dumps({"Action": action, "Data": data}, ensure_ascii=False).encode()
    return Call("POST", "/record", read, body, repeatable)


def _control(action: str, task_id: str) -> Call[None]:
    return _action(action, {"TaskID": task_id}, _nothing)


def _nothing(_answer: Data) -> None:
    pass


def _read_events(answer: Data) -> tuple[Event, ...]:
    return tuple(Event.model_validate(event) for event in answer["Events"])


def _in_words(name: str, time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError(f"{name} needs a time zone, as in datetime.now(UTC)")
    return time.astimezone(SHANGHAI).strftime(SECONDS_FORMAT)
