"""The recorder service's end of a child process that records one page."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from typing import Final, Self

import structlog
from pydantic import ValidationError

from panoreel.recorder.protocol import Command, RecordingOrder, Report, StageOrder, report_adapter

_LINE_LIMIT: Final = 1 << 20

_logger = structlog.get_logger()


class ChildProcess:
    """Sets its stage as it is started, takes one order, and speaks in reports until it ends."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout

    @classmethod
    async def start(cls, order: StageOrder) -> Self:
        """Run the child in a session of its own: a Ctrl-C on the terminal is not meant for it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "panoreel.recorder.child",
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
            limit=_LINE_LIMIT,
        )
        child = cls(process)
        child._write(order.model_dump_json())
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

    async def exited(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._process.wait()

    def kill(self) -> None:
        """End the child at once; what it started ends with it."""
        if self._process.returncode is None:
            self._process.kill()

    def _write(self, line: str) -> None:
        # A child that has gone is noticed by its exit, not here: asyncio only logs a broken pipe.
        self._stdin.write(line.encode() + b"\n")
