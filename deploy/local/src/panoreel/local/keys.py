"""The key of a data directory's stack: made up once, then whoever owns the directory may edit its file."""

import json
import secrets
from pathlib import Path
from typing import Final

from panoreel.signing.client import Credentials

from .datadir import DataDirectory, write_private
from .errors import LocalError

APPLICATION: Final = "default"
"""Whose tasks those of the command line are."""

NO_KEY: Final = Credentials("", "")


def key_file(directory: DataDirectory) -> Path:
    """The file of the keys that may call the API, in the form of `docs/api.md`."""
    return directory.path / "keys.json"


def shown_key(directory: DataDirectory) -> Credentials:
    """The first key of the directory that can sign requests, or `NO_KEY`; makes the file if there is none.

    Raises:
        LocalError: the file is not what it should be.
    """
    file = key_file(directory)
    if not file.exists():
        write_private(file, json.dumps({"keys": [_new_key()]}, indent=2) + "\n")
    try:
        entries = json.loads(file.read_text())["keys"]
        usable = (
            Credentials(entry["id"], entry["secrets"][0])
            for entry in entries
            if entry.get("enabled", True) and entry.get("kind", "application") == "application"
        )
        return next(usable, NO_KEY)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise LocalError(
            f"{file} is no key file ({type(error).__name__}: {error}); "
            "mend it, or move it away to be given a new one"
        ) from error


def _new_key() -> dict[str, object]:
    """A key that may do everything: who can read the file owns the stack."""
    return {
        "id": f"AK{secrets.token_hex(16)}",
        "secrets": [secrets.token_urlsafe(32)],
        "application": APPLICATION,
        "kind": "application",
        "admin": True,
        "enabled": True,
    }
