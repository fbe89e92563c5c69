"""A program of the stack: started, waited for, watched, started again when it dies, and stopped."""

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .errors import StartFailed

READY_POLL_S = 0.02
READY_TIMEOUT_S = 60.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
SETTLED_S = 30.0
"""A program that ran this long is started again after the shortest pause when it dies."""
KEPT_LOG_BYTES = 4 * 1024 * 1024
"""A log larger than this is set aside as `<name>.log.1` when its program starts again."""
LOG_TAIL_LINES = 12
REAP_S = 5.0
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Program:
    """How a program is started, how it shows that it is ready, and how it is stopped.

    `death_signal` is what it gets when we die without stopping it (PR_SET_PDEATHSIG in prctl(2)).
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    is_ready: Callable[[], Awaitable[bool]]
    before_start: Callable[[], None] = field(default=lambda: None)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    death_signal: str = "KILL"


class SupervisedProcess:
    """One running `Program`. `log` names the file for its output; `report` gets lines for the user."""

    def __init__(self, program: Program, log: Path, report: Callable[[str], None]) -> None:
        self._program = program
        self._log = log
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._supervision: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the program, wait until it is ready, and keep it running from then on.

        Raises `StartFailed`, with the end of its log, when it ends or is not ready within `READY_TIMEOUT_S`.
        """
        process = await self._spawn()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not await self._program.is_ready():
            if process.returncode is not None:
                raise StartFailed(
                    f"{self._program.name} ended with {_ending(process.returncode)} while starting\n"
                    f"{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{self._program.name} was not ready after {READY_TIMEOUT_S:.0f} s\n{self._log_tail()}"
                )
            await asyncio.sleep(READY_POLL_S)
        self._supervision = asyncio.create_task(self._supervise(process))

    async def stop(self) -> None:
        """Ask the program to stop, and kill what is left of it."""
        self._let_die()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(self._program.stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._program.stop_timeout_s)
        self._kill_session()
        await process.wait()

    def kill(self) -> None:
        """Kill the program and all that is left in its session, now and for good."""
        self._let_die()
        self._kill_session()

    def _let_die(self) -> None:
        if self._supervision:
            self._supervision.cancel()

    def _kill_session(self) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> asyncio.subprocess.Process:
        program = self._program
        program.before_start()
        if self._log.exists() and self._log.stat().st_size > KEPT_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "setpriv",
                f"--pdeathsig={program.death_signal}",
                "--",
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=program.env,
                cwd=program.cwd,
                # A Ctrl-C in the terminal is for us alone.
                start_new_session=True,
            )
        return self._process

    async def _supervise(self, process: asyncio.subprocess.Process) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            code = await process.wait()
            if time.monotonic() - started > SETTLED_S:
                pause_s = FIRST_PAUSE_S
            self._report(
                f"{self._program.name} died with {_ending(code)}; starting it again in {pause_s:g} s\n"
                f"{self._log_tail()}"
            )
            self._kill_session()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            process = await self._spawn()

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"--- the end of {self._log}", *lines])


def adopt_orphans() -> None:
    """From now on, what our children leave behind becomes our child (PR_SET_CHILD_SUBREAPER in prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def reap_orphans() -> None:
    """Reap what we adopted when it has ended, until cancelled.

    Our own children are waited for: who stays a zombie for `REAP_S` is an orphan.
    """
    ended: set[int] = set()
    while True:
        ended, before = {pid for pid in _children() if _is_zombie(pid)}, ended
        for pid in ended & before:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 (it does not wait)
        await asyncio.sleep(REAP_S)


def end_orphans() -> None:
    """Kill and reap every child that is left. Only for when no program of ours runs any more."""
    while pids := _children():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _is_zombie(pid: int) -> bool:
    """By the state after the name in parentheses (proc_pid_stat(5)); who has been reaped is none."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
