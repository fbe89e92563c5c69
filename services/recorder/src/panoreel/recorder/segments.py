"""The spool: a directory of sealed segments, each a media file with a sidecar that describes it.

`00000007.mp4` is only ever there complete, and never without `00000007.json`, whenever the process or the
machine dies.
"""

import logging
import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from panoreel.contracts.media import SegmentMedia
from panoreel.contracts.quality import Quality

log = logging.getLogger(__name__)

_QUALITY: Final = "quality.json"


def make_spool(spool: Path) -> None:
    """Make the directory durably, if it is not there."""
    spool.mkdir(exist_ok=True)
    _sync(spool.parent)


def seal(content: bytes, media: SegmentMedia, *, partial: Path, spool: Path) -> Path:
    """Store a segment durably in `spool` and return its path.

    `partial` and `spool` are directories of one file system, since the move between them is a rename(2).
    Raises `OSError`.
    """
    name = f"{media.index:08d}"
    _place(media.model_dump_json().encode(), f"{name}.json", partial, spool)
    return _place(content, f"{name}.mp4", partial, spool)


def sealed(spool: Path) -> list[tuple[Path, SegmentMedia]]:
    """What `spool` holds, by index: also the segments that an earlier run left behind.

    One whose sidecar is damaged, by a failing disk perhaps, is left out: nobody knows what it is.
    """
    found = []
    for path in sorted(spool.glob("*.mp4")):
        try:
            found.append((path, SegmentMedia.model_validate_json(path.with_suffix(".json").read_bytes())))
        except (OSError, ValidationError) as error:
            log.warning("%s has no readable description and is left out: %s", path, error)
    return found


def keep_quality(quality: Quality, spool: Path) -> None:
    """Store beside the segments how well they were recorded, for whoever finds them, if the disk lets us."""
    written = spool / f"{_QUALITY}.new"
    try:
        written.write_text(quality.model_dump_json())
        written.rename(spool / _QUALITY)
    except OSError as error:  # figures are not worth a recording
        log.warning("what was measured is not kept: %s", error)


def kept_quality(spool: Path) -> Quality | None:
    """What was stored last, if anything was, and it can be read."""
    try:
        return Quality.model_validate_json((spool / _QUALITY).read_bytes())
    except (OSError, ValidationError):
        return None


def _place(content: bytes, name: str, partial: Path, spool: Path) -> Path:
    with (partial / name).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path = (partial / name).rename(spool / name)
    _sync(spool)
    return path


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
