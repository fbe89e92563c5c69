"""Who runs the programs of a recording: the service user when we are root, ourselves otherwise.

A page is a stranger's code, so browser, display and sound server never run as root.
"""

import asyncio
import os
import pwd
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from panoreel.recorder.errors import ServiceUserUnusable

SETPRIV = "/usr/bin/setpriv"
EXIT_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class ProgramUser:
    """The account that programs run as; `switch` says whether it differs from our own."""

    uid: int
    gid: int
    switch: bool

    @classmethod
    def choose(cls, name: str | None) -> Self:
        """The account `name` when we are root, else the one that we run as.

        Raises `ServiceUserUnusable` when root has no such account to step down to.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), switch=False)
        if name is None:
            raise ServiceUserUnusable("a recorder that runs as root needs a service user for the browser")
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            raise ServiceUserUnusable(f"the service user {name!r} does not exist on this machine") from None
        if account.pw_uid == 0:
            raise ServiceUserUnusable("the service user must not be root")
        return cls(account.pw_uid, account.pw_gid, switch=True)

    def make_directory(self, path: Path) -> Path:
        """Create `path` for this user alone; raises `ServiceUserUnusable` when it could not be reached."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.own(path)
        for parent in path.resolve().parents:
            if not self._may_enter(parent.stat()):
                raise ServiceUserUnusable(
                    f"the service user may not enter {parent}: choose another run directory"
                )
        return path

    def own(self, path: Path) -> None:
        """Hand `path` over to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def command(self, argv: Sequence[str], death_signal: str = "TERM") -> list[str]:
        """`argv` such that it runs as this user and gets `death_signal` when its parent dies (setpriv(1))."""
        switch = [f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"] if self.switch else []
        return [SETPRIV, *switch, f"--pdeathsig={death_signal}", "--", *argv]

    def _may_enter(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def environment(home: Path) -> dict[str, str]:
    """All that a program finds in its environment: nothing of ours, and `home` for whatever it writes."""
    directory = str(home)
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": directory,
        "TMPDIR": directory,
        "XDG_RUNTIME_DIR": directory,
    }


async def spawn(
    argv: Sequence[str], *, home: Path, log: Path, pass_fds: Sequence[int] = ()
) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, with a minimal environment, its output in `log`.

    To be called on the main thread: a parent-death signal fires when the thread that forked ends
    (PR_SET_PDEATHSIG in prctl(2)).
    """
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(home),
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )


async def end(process: asyncio.subprocess.Process) -> None:
    """End a program that we started: by SIGTERM, and by SIGKILL if it does not obey."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), EXIT_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def reap_orphans() -> None:
    """Reap what programs of ours have left behind when they were killed, and made our children (prctl(2))."""
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with suppress(ChildProcessError):  # somebody else waited for it
            os.waitpid(int(pid), os.WNOHANG)


def log_tail(log: Path, lines: int = 5) -> str:
    """The last lines of a program's log, on one line; empty when there is none."""
    if not log.exists():
        return ""
    return " | ".join(log.read_text(errors="replace").splitlines()[-lines:])
