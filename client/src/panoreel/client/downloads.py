"""Fetching a finished video: the target appears, or is replaced, only when the file is complete.

Of HLS the target is the playlist, and its segments lie beside it before it appears. They are called after the
target, since recordings that have no name of their own have segments of the same names.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import httpx

from panoreel.client.errors import DownloadFailed

PLAYLIST: Final = ".m3u8"
CHUNK_BYTES: Final = 1 << 18
AS_IT_IS: Final = {"Accept-Encoding": "identity"}
"""Headers for a file whose announced size is that of the file."""

_NAME: Final = re.compile(r"(?!\.{1,2}$)[^/\\?:\x00-\x1f]+")
"""A relative reference (RFC 3986 §4.2) that can be a file's name as it stands."""


@dataclass
class Incoming:
    """The file of `url` on its way to `target`; `expected_bytes` is what the server has announced, if it has.

    `before_bytes` is what had arrived of the same video before; `playlist`, of HLS, what `target` will say.
    """

    url: str
    target: Path
    sink: BinaryIO
    before_bytes: int = 0
    expected_bytes: int | None = None
    playlist: str | None = None

    def write(self, chunk: bytes) -> int:
        """Add to the file; how many bytes there are of the video."""
        self.sink.write(chunk)
        return self.got_bytes

    @property
    def got_bytes(self) -> int:
        """How many bytes there are of the video."""
        return self.before_bytes + self.sink.tell()

    def expect(self, response: httpx.Response) -> None:
        """Refuse an answer that is no file, and note the size of one that is."""
        response.raise_for_status()
        length = response.headers.get("Content-Length")
        self.expected_bytes = None if length is None else int(length)

    def segments(self) -> list[tuple[str, Path]]:
        """Of a playlist that has arrived, the segments: where each is, and where it goes. Else none.

        Raises:
            DownloadFailed: one of them is not beside the playlist, or has no name.
        """
        if not httpx.URL(self.url).path.endswith(PLAYLIST):
            return []
        self.sink.flush()
        lines = _part(self.target).read_text("utf-8", errors="replace").splitlines()
        # RFC 8216 §4.1: every line that is neither blank nor begins with # is a URI.
        names = [line for line in lines if line and not line.startswith("#")]
        targets = {name: self._beside(name) for name in names}
        references = {name: _reference(target) for name, target in targets.items()}
        self.playlist = "".join(f"{references.get(line, line)}\n" for line in lines)
        return [(str(httpx.URL(self.url).join(name)), target) for name, target in targets.items()]

    def _beside(self, name: str) -> Path:
        if _NAME.fullmatch(name):
            own = f"{PurePosixPath(urlsplit(self.url).path).stem}-"
            called = f"{self.target.stem}-{name.removeprefix(own)}" if name.startswith(own) else name
            if called != self.target.name:
                return self.target.with_name(called)
        raise DownloadFailed(f"{self.url}: the playlist names {name!r}, which cannot be put beside it")


@contextmanager
def incoming(url: str, target: Path, before_bytes: int = 0) -> Iterator[Incoming]:
    """A place for the file of `url`, which becomes `target` in the end; raises `DownloadFailed`."""
    part = _part(target)
    try:
        with part.open("wb") as sink:
            file = Incoming(url, target, sink, before_bytes)
            yield file
        got = part.stat().st_size
        if file.expected_bytes not in (None, got):
            raise DownloadFailed(f"{url}: {got} bytes of {file.expected_bytes} arrived")
        if file.playlist is not None:
            part.write_text(file.playlist, "utf-8")
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


def _reference(target: Path) -> str:
    """How a playlist names a file beside it: as it is, for players do not decode the names of files."""
    # RFC 3986 §4.2: a colon would make a scheme of what is before it; RFC 8216 §4.1: # makes a comment.
    return f"./{target.name}" if ":" in target.name or target.name.startswith("#") else target.name


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")
