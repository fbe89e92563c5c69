"""Fetching a finished video: the target appears, or is replaced, only when the file is complete."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from panoreel.client.errors import DownloadFailed

CHUNK_BYTES: Final = 1 << 18
AS_IT_IS: Final = {"Accept-Encoding": "identity"}
"""Headers for a file whose announced size is that of the file."""


@dataclass
class Incoming:
    """A file on its way; `expected_bytes` is what the server has announced, if it has."""

    sink: BinaryIO
    expected_bytes: int | None = None

    def write(self, chunk: bytes) -> int:
        """Add to the file; how many bytes there are."""
        self.sink.write(chunk)
        return self.sink.tell()

    def expect(self, response: httpx.Response) -> None:
        """Refuse an answer that is no file, and note the size of one that is."""
        response.raise_for_status()
        length = response.headers.get("Content-Length")
        self.expected_bytes = None if length is None else int(length)


@contextmanager
def incoming(url: str, target: Path) -> Iterator[Incoming]:
    """A place for the file of `url`, which becomes `target` in the end; raises `DownloadFailed`."""
    part = _part(target)
    try:
        with part.open("wb") as sink:
            file = Incoming(sink)
            yield file
        got = part.stat().st_size
        if file.expected_bytes not in (None, got):
            raise DownloadFailed(f"{url}: {got} bytes of {file.expected_bytes} arrived")
        part.replace(target)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise DownloadFailed(f"{url}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def check_target(target: Path) -> None:
    """Make sure that a download can write `target`; raises `OSError`."""
    if target.exists() and not target.is_file():
        # By root, even a device would be replaced.
        raise OSError(f"{target} is there and no regular file")
    part = _part(target)
    with suppress(FileExistsError):
        part.open("xb").close()
        part.unlink()


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")
