"""What `panoreel record` does: find or start a stack, record, say what came of it."""

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from panoreel.client import PanoreelError

from . import prerequisites
from .connection import connect
from .datadir import DataDirectory, default_data_dir
from .demo_server import demo_page
from .errors import GIVEN_UP, LocalError
from .progress import Progress
from .recording import Outcome, Recording, record
from .session import running_stack
from .tables import events_table


@dataclass(frozen=True)
class Stack:
    """Which stack is to record, and as whom; without a `server`, the one of the data directory."""

    server: str | None
    data_dir: Path | None
    app_key: str | None
    app_secret: str | None = field(repr=False)


def run(recording: Recording, stack: Stack, *, as_json: bool) -> int:
    """Record, report on the terminal, and return the exit status: 0 only if there is a complete file."""
    errors = Console(stderr=True)
    try:
        outcome = _record(recording, stack, errors)
    except PanoreelError as error:
        outcome = Outcome(error={"code": error.code, "message": str(error)})
    except LocalError as error:
        outcome = Outcome(error={"code": type(error).__name__, "message": str(error)})
    except KeyboardInterrupt:
        errors.print("given up")
        return GIVEN_UP
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
    else:
        _tell(outcome)
    if outcome.error:
        errors.print(outcome.error["message"], markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0


def _record(recording: Recording, stack: Stack, errors: Console) -> Outcome:
    with ExitStack() as cleanup:
        if not recording.url:
            recording = replace(recording, url=cleanup.enter_context(demo_page()))
        if stack.server is None:
            prerequisites.check()
            directory = DataDirectory.at(stack.data_dir or default_data_dir())
            cleanup.enter_context(running_stack(directory))
        client = cleanup.enter_context(connect(stack.server, stack.data_dir, stack.app_key, stack.app_secret))
        progress = cleanup.enter_context(Progress(errors, recording.seconds))
        return record(client, recording, progress)


def _tell(outcome: Outcome) -> None:
    console = Console()
    if outcome.events:
        console.print(events_table(outcome.events))
    length = f", {outcome.duration_s:.1f} s" if outcome.duration_s is not None else ""
    for fetched in outcome.files:
        # Printed as it is, so that a long path is not broken into lines.
        sys.stdout.write(f"{fetched.file}  {fetched.bytes} bytes{length}\n")
