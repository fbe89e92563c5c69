"""How a caller may name the place of a result: one rule for whoever accepts a task and whoever stores it.

The limits are those of Tencent Cloud COS and of S3: the caller hears of them before anything is recorded.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from panoreel.contracts.events import OutputRequest
from panoreel.contracts.outputs import Muxer

MAX_KEY_BYTES: Final = 850
"""The longest object key that COS takes, in bytes of UTF-8."""

BUCKET_PATTERN: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
REGION_PATTERN: Final = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
"""Both become parts of a host name."""

EXTENSIONS: Final[Mapping[Muxer, str]] = {"mp4": ".mp4", "hls": ".m3u8"}

_LONGEST_SUFFIX: Final = "-01234567-sprites-00000.jpg"
"""Of what lies beside a result under its name."""

_SIGN_DIGITS: Final = 8
_PLAYLIST: Final = "playlist"
_RAW: Final = "raw/"
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_DOMAIN: Final = re.compile(r"(https?://)?[A-Za-z0-9]([A-Za-z0-9.-]{0,252})(:[0-9]{1,5})?/?")


def result_key(output: OutputRequest, muxer: Muxer, task_id: str, created: datetime) -> str:
    """The key of the result: `<directory>/<name>.<mp4 or m3u8>`, without empty parts.

    It is known as soon as the task is: the directory is by default the task's public id, the name the time
    when the task was created, in Unix milliseconds. A playlist that has a directory of its own is
    `playlist.m3u8`.

    Raises:
        ValueError: a sentence that names the field which cannot be part of a key.
    """
    directory = _parts("TargetDir", output.target_dir)
    default = str(int(created.timestamp() * 1000))
    if muxer == "hls" and not directory:
        default = _PLAYLIST
    name = _parts("TargetName", output.target_name) or [default]
    extension = EXTENSIONS[muxer]
    for known in (EXTENSIONS[wanted] for wanted in output.muxers):
        if name[-1].lower().endswith(known) and name[-1].lower() != known:
            name[-1] = name[-1][: -len(known)]
            break
    key = "/".join([*(directory or [task_id]), *name]) + extension
    if len(sibling(key, _LONGEST_SUFFIX).encode()) > MAX_KEY_BYTES:
        limit = MAX_KEY_BYTES - len(_LONGEST_SUFFIX)
        raise ValueError(f"TargetDir and TargetName together must not be longer than {limit} bytes")
    return key


def sibling(key: str, suffix: str) -> str:
    """The key of a file that lies beside a result: `<name><suffix>`."""
    return key.rpartition(".")[0] + suffix


def part(key: str, task_id: str, suffix: str) -> str:
    """The key of one of many files that belong to a result: `<name>-<sign of the task><suffix>`.

    Results of the same name may replace each other as a whole, but their parts never mix. `task_id` is the
    one in the log.
    """
    return sibling(key, f"-{sha256(task_id.encode()).hexdigest()[:_SIGN_DIGITS]}{suffix}")


def check(output: OutputRequest, task_id: str) -> None:
    """Make sure that the result of task `task_id` can be stored where the caller wants it.

    Raises:
        ValueError: a sentence that names the field which cannot be used.
    """
    # The default name is as long at any time.
    key = result_key(output, "hls", task_id, _ANY_TIME)
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
