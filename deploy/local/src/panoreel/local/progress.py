"""What `panoreel record` shows while it works: a bar in a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console
from rich.filesize import decimal

PLAIN_NAMES = {"normal": "starting", "canceled": "stopping", "transcode": "packaging", "upload": "storing"}
"""Public states whose names say little at a terminal."""


class Progress:
    """A bar over `seconds` of recording. A context manager."""

    def __init__(self, console: Console, seconds: int) -> None:
        self._console = console
        self._state = ""
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:>11}"),
            rich.progress.BarColumn(),
            rich.progress.TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._seconds = seconds
        self._task = self._bar.add_task("starting", total=seconds, detail="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def state(self, status: str, elapsed_s: float) -> None:
        """Show the task's public status and how much has been recorded."""
        state = PLAIN_NAMES.get(status, status)
        self._show(state, elapsed_s, self._seconds, f"{elapsed_s:.1f} / {self._seconds} s")

    def downloading(self, so_far: int, total: int) -> None:
        """Show how much of the file has arrived, in bytes."""
        self._show("downloading", so_far, total, f"{decimal(so_far)} / {decimal(total)}")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, highlight=False)

    def _show(self, state: str, done: float, total: float, detail: str) -> None:
        self._bar.update(
            self._task, description=state, completed=min(done, total), total=total, detail=detail
        )
        if state != self._state and not self._console.is_terminal:
            self.note(state)
        self._state = state
