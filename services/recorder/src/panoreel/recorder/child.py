"""The process that records one page: `python -m panoreel.recorder.child`, started by the recorder service.

It reads a `StageOrder` from standard input and sets the stage, reads a `RecordingOrder`, which may come much
later, and commands, and writes reports to standard output. It exits with 0 when the recording was stopped or
reached its limit, or never ordered, with 1 when it failed. It does not outlive the service, nor do its own
programs outlive it; sealed segments stay in the spool.
"""

import asyncio
import ctypes
import logging
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from panoreel.recorder.controls import Controls
from panoreel.recorder.errors import CaptureError
from panoreel.recorder.protocol import Failed, Ready, RecordingOrder, Report, StageOrder, command_adapter
from panoreel.recorder.recording import Recording
from panoreel.recorder.stage import Stage

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
ORPHANS_TIMEOUT_S: Final = 0.5
LINE_LIMIT: Final = 1 << 20


def main() -> int:
    """Record what the order on standard input says; the exit code."""
    prctl = ctypes.CDLL(None).prctl
    # Together with the end of standard input this leaves no gap: a parent that died before is noticed there.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        return asyncio.run(_serve(Reporter()))
    finally:
        _end_orphans()


class Reporter:
    """Writes reports to what was standard output, which goes to the log from now on."""

    def __init__(self) -> None:
        self._output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        self._lock = threading.Lock()
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(self, report: Report) -> None:
        """Write one line; may be called from any thread."""
        # A service that has gone takes this process with it.
        with self._lock, suppress(BrokenPipeError):
            self._output.write(report.model_dump_json().encode() + b"\n")
            self._output.flush()


async def _serve(reporter: Reporter) -> int:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    stage_order = StageOrder.model_validate_json(await lines.readline())
    try:
        async with _setting(Stage(stage_order)) as stage:
            if order := await _order(stage, lines, reporter):
                await _record(stage, order, lines, reporter)
    except CaptureError as error:
        log.info("failed: %s", error)
        reporter.tell(Failed(code=error.code, message=str(error), permanent=error.permanent))
        return 1
    except Exception as error:  # noqa: BLE001  whatever it is, its text may hold the RecordURL's secrets
        log.critical("%s in %s", type(error).__name__, traceback.extract_tb(error.__traceback__))
        reporter.tell(Failed(code="InternalErr", message="the recorder failed", permanent=False))
        return 1
    finally:
        shutil.rmtree(stage_order.run, ignore_errors=True)
    return 0


@asynccontextmanager
async def _setting(stage: Stage) -> AsyncIterator[asyncio.Task[Stage]]:
    """The stage while it is being set and afterwards; taken down at the end, however far that has come."""
    setting = asyncio.create_task(stage.__aenter__())
    try:
        yield setting
    finally:
        setting.cancel()
        await asyncio.wait({setting})
        if not setting.cancelled() and not setting.exception():
            await stage.__aexit__(None, None, None)


async def _order(
    stage: asyncio.Task[Stage], lines: asyncio.StreamReader, reporter: Reporter
) -> RecordingOrder | None:
    """The order, once there is one; None when nobody is left to give it.

    Raises `CaptureError` when the stage cannot be set, or breaks while it waits.
    """
    reading, guarding = asyncio.create_task(lines.readline()), asyncio.create_task(_guard(stage, reporter))
    try:
        await asyncio.wait({reading, guarding}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            guarding.result()
        line = await reading
    finally:
        for task in (reading, guarding):
            task.cancel()
        await asyncio.gather(reading, guarding, return_exceptions=True)
    return RecordingOrder.model_validate_json(line) if line else None


async def _guard(setting: asyncio.Task[Stage], reporter: Reporter) -> None:
    """Tell that the stage is set, and wait for it to break; raises `CaptureError` then."""
    stage = await asyncio.shield(setting)
    reporter.tell(Ready())
    await stage.ended()


async def _record(
    stage: asyncio.Task[Stage], order: RecordingOrder, lines: asyncio.StreamReader, reporter: Reporter
) -> None:
    controls = Controls(order, reporter.tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, controls.end)
    listening = asyncio.create_task(_listen(lines, controls))
    try:
        await Recording(stage, order, controls, reporter.tell).run()
    finally:
        listening.cancel()


async def _listen(lines: asyncio.StreamReader, controls: Controls) -> None:
    async for line in lines:
        controls.obey(command_adapter.validate_json(line))
    if not controls.stop.done():
        log.error("the recorder service has gone")
        os._exit(1)


def _end_orphans() -> None:
    """Reap what our programs left behind, which prctl(2) made our children; kill what does not end."""
    deadline = time.monotonic() + ORPHANS_TIMEOUT_S
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG) != (0, 0):
                continue
            if time.monotonic() > deadline:
                for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
