"""The recorder's settings."""

import os
from pathlib import Path

from pydantic import Field, SecretStr

from panoreel.runtime.settings import ServiceSettings


class RecorderSettings(ServiceSettings):
    """What the recorder needs besides the shared settings."""

    recorder_id: str = Field(description="stable across restarts: it tells whose recordings a spool holds")
    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys")
    blobs_dir: Path = Field(description="shared with transcoder and uploader")
    spool_dir: Path = Field(description="survives restarts: sealed segments rest here until they are stored")
    run_dir: Path = Field(description="sockets and browser profiles of running recordings")
    user: str | None = Field(default=None, description="who runs browser and display when this runs as root")
    max_recordings: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
