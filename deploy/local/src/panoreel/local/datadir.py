"""The data directory: what a stack keeps between starts, and the lock that gives it to one process."""

import base64
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TextIO

from .errors import DataDirectoryInUse, LocalError


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/panoreel`, else `~/.local/share/panoreel` (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "panoreel"


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where a running stack can be reached, credentials included; an empty `app_key` stands for none."""

    api: str
    app_key: str = ""
    app_secret: str = ""
    nats: str
    postgres: str
    s3: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str
    s3_region: str
    pid: int


@dataclass(frozen=True)
class Identity:
    """What a data directory is given once: its credentials and its recorder's name."""

    recorder_id: str
    nats_password: str
    postgres_password: str
    s3_access_key: str
    s3_secret_key: str
    seaweed_write_key: str
    secret_key: str

    @classmethod
    def generate(cls) -> Self:
        """New random credentials; `secret_key` is a Fernet key (github.com/fernet/spec)."""
        return cls(
            recorder_id=f"embedded-{secrets.token_hex(4)}",
            nats_password=secrets.token_hex(16),
            postgres_password=secrets.token_hex(16),
            s3_access_key=secrets.token_hex(10),
            s3_secret_key=secrets.token_hex(20),
            seaweed_write_key=secrets.token_hex(32),
            secret_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        )


@dataclass(frozen=True)
class DataDirectory:
    """A data directory, and `run` for sockets: it has a short path and goes when the stack stops."""

    path: Path
    run: Path

    @classmethod
    def at(cls, path: Path) -> Self:
        """The data directory `path`, which need not exist yet."""
        path = path.expanduser().absolute()
        digest = hashlib.sha256(bytes(path)).hexdigest()[:10]
        return cls(path, Path(tempfile.gettempdir()) / f"panoreel-{os.geteuid()}-{digest}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this directory for this process, with its run directory made anew.

        Raises `DataDirectoryInUse`, naming the process that holds it, or another `LocalError`. The kernel
        lets go of the lock when the process ends in whatever way (flock(2)), so a lock is never stale.
        """
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise DataDirectoryInUse(self.path, lock.read().strip() or "?") from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self._endpoints_file.unlink(missing_ok=True)
            self._make_run_directory()
            try:
                yield
            finally:
                self._endpoints_file.unlink(missing_ok=True)
                shutil.rmtree(self.run, ignore_errors=True)

    def is_locked(self) -> bool:
        """Whether a stack runs, or is starting or stopping, on this directory."""
        # Whoever starts a stack is told why it cannot be opened.
        with suppress(OSError), (self.path / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def identity(self) -> Identity:
        """The credentials of this directory, made up on its first use."""
        file = self.path / "identity.json"
        if not file.exists():
            write_private(file, json.dumps(asdict(Identity.generate()), indent=2))
        return Identity(**json.loads(file.read_text()))

    def log(self, name: str) -> Path:
        """The log of the program `name`; its directory exists."""
        logs = self.path / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"

    def publish(self, endpoints: Endpoints) -> None:
        """Tell who looks into this directory that the stack is ready, and where."""
        write_private(self._endpoints_file, json.dumps(asdict(endpoints), indent=2) + "\n")

    def endpoints(self) -> Endpoints | None:
        """Where the stack that runs on this directory is, or None while none is ready."""
        if not self.is_locked():
            return None
        with suppress(FileNotFoundError):
            return Endpoints(**json.loads(self._endpoints_file.read_text()))
        return None

    @property
    def _endpoints_file(self) -> Path:
        return self.path / "endpoints.json"

    def _open_lock(self) -> TextIO:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return (self.path / "lock").open("a+")
        except OSError as error:
            raise LocalError(f"{self.path} cannot be a data directory: {error.strerror}") from error

    def _make_run_directory(self) -> None:
        """Others may pass through (the browser's own user must), but only we may write or list."""
        with suppress(FileExistsError):
            self.run.mkdir()
        status = self.run.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise LocalError(f"{self.run} belongs to somebody else; set TMPDIR to a directory of your own")
        for leftover in self.run.iterdir():
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        self.run.chmod(0o711)


def write_private(file: Path, text: str) -> None:
    """Replace `file` in one step by one that only its owner may read (rename(2))."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as target:
        target.write(text)
    draft.replace(file)
