"""What can go wrong outside the services. Each message is a sentence for the person at the terminal."""

from pathlib import Path
from typing import Final

GIVEN_UP: Final = 130
"""The exit status of a program that Ctrl-C ended, by the shells' convention (128 + SIGINT)."""


class LocalError(Exception):
    """The embedded stack or a command that uses it cannot go on."""


class MissingPrerequisites(LocalError):
    """Something that must be installed on this machine is not."""


class DataDirectoryInUse(LocalError):
    """Another process already runs a stack on this data directory."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is in use by the panoreel stack of process {holder}")


class PortInUse(LocalError):
    """The port asked for the API is taken."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} on 127.0.0.1 is already in use; "
            "choose another with --port, or let --port 0 find a free one"
        )


class StartFailed(LocalError):
    """A program of the stack ended, or did not become ready, while the stack was starting."""
