"""How a caller may name the place of a result: one rule for whoever accepts a task and whoever stores it.

The limits are those of Tencent Cloud COS and of S3: the caller hears of them before anything is recorded.
"""

import re
from hashlib import sha256
from typing import Final

from panoreel.contracts.events import OutputRequest

MAX_KEY_BYTES: Final = 850
"""The longest object key that COS takes, in bytes of UTF-8."""

BUCKET_PATTERN: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
REGION_PATTERN: Final = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
"""Both become parts of a host name."""

_EXTENSION: Final = ".mp4"
_RAW: Final = "raw/"
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_DOMAIN: Final = re.compile(r"(https?://)?[A-Za-z0-9]([A-Za-z0-9.-]{0,252})(:[0-9]{1,5})?/?")


def object_key(output: OutputRequest, default_dir: str, default_name: str) -> str:
    """The key of the result file: `<directory>/<name>.mp4`, without empty parts.

    Raises:
        ValueError: a sentence that names the field which cannot be part of a key.
    """
    directory = _parts("TargetDir", output.target_dir) or [default_dir]
    name = _parts("TargetName", output.target_name) or [default_name]
    if name[-1].lower().endswith(_EXTENSION) and name[-1].lower() != _EXTENSION:
        name[-1] = name[-1][: -len(_EXTENSION)]
    key = "/".join([*directory, *name]) + _EXTENSION
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"TargetDir and TargetName together must not be longer than {MAX_KEY_BYTES} bytes")
    return key


def check(output: OutputRequest, task_id: str) -> None:
    """Make sure that the result of task `task_id` can be stored where the caller wants it.

    Raises:
        ValueError: a sentence that names the field which cannot be used.
    """
    # The default name is as long as a time in milliseconds.
    key = object_key(output, default_dir=task_id, default_name="0" * 13)
    if key.startswith(_RAW):
        raise ValueError(
            f"TargetDir, by default the task's id, must not begin with {_RAW},"
            " where media rests until its result is made"
        )
    if output.bucket and not re.fullmatch(BUCKET_PATTERN, output.bucket):
        raise ValueError("Bucket must consist of at most 63 lower-case letters, digits and hyphens")
    if output.region and not re.fullmatch(REGION_PATTERN, output.region):
        raise ValueError("Region must consist of at most 32 lower-case letters, digits and hyphens")
    if output.domain and not _DOMAIN.fullmatch(output.domain):
        raise ValueError("Domain must be a host name, with http:// or https:// before it if need be")


def owner(application: str) -> str:
    """What marks the results of an application without telling its name; empty where there are none."""
    return sha256(application.encode()).hexdigest() if application else ""


def _parts(field: str, value: str | None) -> list[str]:
    if value and _FORBIDDEN.search(value):
        raise ValueError(f"{field} must not contain control characters or backslashes")
    parts = [part for part in (value or "").strip().split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ValueError(f"{field} must not contain '.' or '..' as a part of the path")
    return parts
