"""The spool: a directory of sealed segments, each a media file with a sidecar that describes it.

`00000007.mp4` is only ever there complete, and never without `00000007.json`, whenever the process or the
machine dies.
"""

import os
from pathlib import Path

from panoreel.contracts.media import SegmentMedia


def seal(content: bytes, media: SegmentMedia, *, partial: Path, spool: Path) -> Path:
    """Store a segment durably in `spool` and return its path.

    `partial` and `spool` are directories of one file system, since the move between them is a rename(2).
    Raises `OSError`.
    """
    name = f"{media.index:08d}"
    _place(media.model_dump_json().encode(), f"{name}.json", partial, spool)
    return _place(content, f"{name}.mp4", partial, spool)


def sealed(spool: Path) -> list[tuple[Path, SegmentMedia]]:
    """What `spool` holds, by index: also the segments that an earlier run left behind."""
    return [
        (path, SegmentMedia.model_validate_json(path.with_suffix(".json").read_bytes()))
        for path in sorted(spool.glob("*.mp4"))
    ]


def _place(content: bytes, name: str, partial: Path, spool: Path) -> Path:
    with (partial / name).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path = (partial / name).rename(spool / name)
    directory = os.open(spool, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path
