"""Local files that nobody has to remove."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nameless_file(directory: Path | None = None) -> Iterator[Path]:
    """A path to an empty file in `directory`, or else where `TMPDIR` says.

    The file has no other name than its descriptor's (proc(5), `/proc/self/fd`), so that even a killed
    process leaves nothing behind. The path is good in this process alone, and within the context.
    """
    with tempfile.TemporaryFile(dir=directory) as file:
        yield Path(f"/proc/self/fd/{file.fileno()}")
