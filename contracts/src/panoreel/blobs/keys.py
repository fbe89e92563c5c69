"""The names under which recorder, transcoder and uploader find each other's files."""

import re
from typing import Final

from panoreel.blobs.errors import InvalidKey

BLOB_NAMES: Final = ("segments/", "outputs/", ".panoreel-")
"""What everything in a blob store begins with: keys, and what the store keeps for itself."""

# No part may begin with a dot: that excludes `.` and `..`, and leaves such names to the store itself.
_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def segment_key(task_id: str, epoch: int, index: int) -> str:
    """Where an epoch's sealed segment rests."""
    return f"{segments_prefix(task_id)}{epoch}/{index}.mp4"


def output_key(task_id: str, name: str) -> str:
    """Where a packaged result file rests; `name` is unique within the task."""
    return f"{outputs_prefix(task_id)}{name}"


def segments_prefix(task_id: str) -> str:
    """What the keys of all segments of a task begin with."""
    return f"segments/{task_id}/"


def outputs_prefix(task_id: str) -> str:
    """What the keys of all packaged files of a task begin with."""
    return f"outputs/{task_id}/"


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        InvalidKey: it is empty, absolute, climbs with `..`, or holds characters that some store refuses.
    """
    if not _KEY.fullmatch(key):
        raise InvalidKey(f"{key!r} is not a blob key")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself.

    Raises:
        InvalidKey: it is not a key followed by a slash, without which `task-1` would also mean `task-10`.
    """
    if not prefix.endswith("/") or not _KEY.fullmatch(prefix[:-1]):
        raise InvalidKey(f"{prefix!r} is not a prefix of blob keys")
    return prefix
