"""A task as the API and the result callback show it."""

from datetime import datetime
from typing import Any

from panoreel.contracts.task import Task


def describe(task: Task) -> dict[str, Any]:
    """The public fields of a task, times in Unix seconds, without empty values at any depth.

    `FileDuration` is in whole seconds, rounded; `FileSize` in bytes.
    """
    result = {
        "ErrorCode": task.failure and task.failure.code,
        "ErrorMessage": task.failure and task.failure.message,
        "Videos": [
            {
                "Filename": video.filename,
                "FileSize": video.bytes,
                "FileDuration": round(video.duration_s),
                "FileURL": video.url,
                "FileId": video.file_id,
            }
            for video in task.videos
        ],
    }
    answer = {
        "TaskID": task.public_id,
        "Status": task.status,
        "CreateTime": _unix_s(task.create_time),
        "StartTime": _unix_s(task.start_time),
        "CancelTime": _unix_s(task.cancel_time),
        "StopTime": _unix_s(task.stop_time),
        "FinishTime": _unix_s(task.finish_time),
        "RetryNum": task.retry_num,
        "StorageType": task.storage_type,
        "Result": result,
    }
    kept: dict[str, Any] = _without_empty(answer)
    return kept


def _unix_s(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, "", 0, False, [], {})}
    if isinstance(value, list):
        return [_without_empty(inner) for inner in value]
    return value
