"""The file that holds the keys: read again when it has changed, without a restart."""

import asyncio
import os
import stat
import time
from pathlib import Path
from typing import Final

import structlog

from panoreel.dispatch.authentication.errors import KeyFileError
from panoreel.dispatch.authentication.keys import Keys, parse_keys

CHECK_INTERVAL_S: Final = 1.0

_logger = structlog.get_logger()


class KeyFile:
    """The keys of a file. A new version that cannot be used is logged, and the one before goes on."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            KeyFileError: it cannot be read, or an entry is wrong.
        """
        self._path = path
        self._version = _version(path)
        self._keys = self._read()
        self._checked_at_s = time.monotonic()

    async def keys(self) -> Keys:
        """The keys as of at most a second ago."""
        now_s = time.monotonic()
        if now_s - self._checked_at_s >= CHECK_INTERVAL_S:
            self._checked_at_s = now_s
            await asyncio.to_thread(self._refresh)
        return self._keys

    def _refresh(self) -> None:
        version = _version(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._keys = self._read()
        except KeyFileError as error:
            problem = str(error)
            # The sentence says it all; a traceback would only hide it.
            _logger.error("key file cannot be used, the keys before it go on", problem=problem)  # noqa: TRY400
        else:
            _logger.info("key file read", path=str(self._path), keys=len(self._keys.keys))

    def _read(self) -> Keys:
        try:
            with self._path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                keys = parse_keys(file.read())
        except OSError as error:
            raise KeyFileError(f"{self._path}: {error.strerror}") from error
        except KeyFileError as error:
            raise KeyFileError(f"{self._path}: {error}") from None
        if mode & 0o077:
            _logger.warning(
                "key file is open to others, make it 0600", path=str(self._path), mode=f"{mode:04o}"
            )
        return keys


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes with the file's content and, by ctime, with its mode; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size
