"""The recorder service's end of a child process that records one page."""

import asyncio
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Self

import structlog
from pydantic import ValidationError

from panoreel.recorder.leftovers import sweep
from panoreel.recorder.protocol import Command, RecordingOrder, Report, StageOrder, report_adapter

TIDY_UP_S: Final = 5.0
"""How long a child may take to end what it started, after its last report."""

_LINE_LIMIT: Final = 1 << 20

_logger = structlog.get_logger()


class ChildProcess:
    """Sets its stage as it is started, takes one order, and speaks in reports until it ends."""

    def __init__(self, process: Process, stage: StageOrder, run: Path) -> None:
        assert process.stdin
        assert process.stdout
        self.stage = stage
        """What it was started with."""
        self._process = process
        self._run = run
        self._stdin = process.stdin
        self._stdout = process.stdout

    @classmethod
    async def start(cls, stage: StageOrder) -> Self:
        """Run a child, which works in a directory of its own in `stage.run`; to be closed.

        Its session is its own, too: a Ctrl-C on the terminal is not meant for it.
        """
        run = Path(tempfile.mkdtemp(dir=stage.run))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "panoreel.recorder.child",
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,
                limit=_LINE_LIMIT,
            )
        except BaseException:
            await asyncio.to_thread(sweep, run)
            raise
        child = cls(process, stage, run)
        child._write(stage.model_copy(update={"run": run}).model_dump_json())
        return child

    @property
    def pid(self) -> int:
        """The process's number, for whoever measures it."""
        return self._process.pid

    def record(self, order: RecordingOrder) -> None:
        """Have a page recorded; to be called once."""
        self._write(order.model_dump_json())

    async def reports(self) -> AsyncGenerator[Report]:
        """What the child tells, until it closes its output."""
        async for line in self._stdout:
            try:
                yield report_adapter.validate_json(line)
            except ValidationError:
                _logger.exception("unintelligible report from a child")

    def tell(self, command: Command) -> None:
        """Ask the child for something; it answers by a report, or by its end."""
        self._write(command.model_dump_json())

    def dismiss(self) -> None:
        """Let a child go that has had no order: it tidies up and ends."""
        self._stdin.close()

    async def exited(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._process.wait()

    def kill(self) -> None:
        """End the child at once; what it started ends with it."""
        if self._process.returncode is None:
            self._process.kill()

    async def close(self) -> int:
        """Wait for the end, which must not take long any more, and sweep up what is left; the exit code."""
        try:
            async with asyncio.timeout(TIDY_UP_S):
                return await self.exited()
        except TimeoutError:
            self.kill()
            return await self.exited()
        except asyncio.CancelledError:
            self.kill()
            await self.exited()
            raise
        finally:
            self._stdin.close()
            await asyncio.to_thread(sweep, self._run)

    def _write(self, line: str) -> None:
        # A child that has gone is noticed by its exit, not here: asyncio only logs a broken pipe.
        self._stdin.write(line.encode() + b"\n")
