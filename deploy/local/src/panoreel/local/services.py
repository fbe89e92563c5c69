"""Panoreel's own services: what each is started with."""

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from . import keys, nats, postgres, seaweed
from .datadir import DataDirectory, Identity
from .ports import LOOPBACK
from .process import Program

SERVICE_USER = "panoreel"
"""Who runs browser, display and sound when we are root."""

STOP_TIMEOUT_S = 20.0
"""A recorder seals what it is recording before it goes; the others finish what is under way."""

ALLOWED_NETWORKS = ["127.0.0.0/8", "::1/128"]
"""Who uses a stack of their own records pages of this machine, too."""

CHOICES = {
    "dispatch": ("HLS_KEY_MODE",),
    "recorder": (
        "WARM_RECORDINGS",
        "MAX_RECORDINGS",
        "MAX_LOAD",
        "CORES_PER_RECORDING",
        "MEMORY_PER_RECORDING_MIB",
    ),
    "uploader": ("MEDIA_RETENTION_H", "FAILED_RETENTION_DAYS"),
}
"""What is left to whoever starts the stack: how keys are read, how much is taken on, what is kept."""


def settings(
    directory: DataDirectory, identity: Identity, ports: Mapping[str, int], api_port: int
) -> dict[str, dict[str, str]]:
    """The `PANOREEL_…` variables of each service, without the prefix; dispatch, the API, comes first."""
    secret_keys = {"SECRET_KEYS": json.dumps([identity.secret_key])}
    reach = {"ALLOWED_NETWORKS": json.dumps(ALLOWED_NETWORKS)}
    raw = _object_store("RAW", seaweed.RAW_BUCKET, identity, ports)
    blobs = {"BLOBS_DIR": str(directory.path / "blobs"), **raw}
    user = {"USER": SERVICE_USER} if os.geteuid() == 0 else {}
    return {
        "dispatch": {
            **secret_keys,
            **reach,
            "POSTGRES_DSN": postgres.dsn(identity, ports["postgres"]),
            "HOST": LOOPBACK,
            "PORT": str(api_port),
            "KEY_FILE": str(keys.key_file(directory)),
            "STORAGE_TYPES": json.dumps(["cfs", "cos"]),
            **_chosen("dispatch"),
        },
        "recorder": {
            **secret_keys,
            **reach,
            **blobs,
            **user,
            **_chosen("recorder"),
            "RECORDER_ID": identity.recorder_id,
            "SPOOL_DIR": str(directory.path / "spool"),
            "RUN_DIR": str(directory.run / "recorder"),
        },
        "transcoder": {**secret_keys, **blobs},
        "uploader": {
            **blobs,
            **_object_store("S3", seaweed.BUCKET, identity, ports),
            "PUBLIC_URL_SCHEME": "http",
            **_chosen("uploader"),
        },
        "notifier": {**secret_keys, **reach},
    }


def _chosen(service: str) -> dict[str, str]:
    return {
        name: os.environ[variable]
        for name in CHOICES[service]
        if (variable := f"PANOREEL_{name}") in os.environ
    }


def _object_store(use: str, bucket: str, identity: Identity, ports: Mapping[str, int]) -> dict[str, str]:
    """How a bucket is reached, for results (`S3`) or for media on its way to them (`RAW`)."""
    return {
        f"{use}_ENDPOINT": seaweed.url(ports),
        f"{use}_ACCESS_KEY": identity.s3_access_key,
        f"{use}_SECRET_KEY": identity.s3_secret_key,
        f"{use}_BUCKET": bucket,
        f"{use}_REGION": seaweed.REGION,
        f"{use}_ADDRESSING_STYLE": "path",
    }


def programs(
    directory: DataDirectory, identity: Identity, ports: Mapping[str, int], api_port: int
) -> dict[str, Program]:
    """Each service as a program; it is ready when its readiness file exists."""
    for name in ("blobs", "spool"):
        (directory.path / name).mkdir(exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PANOREEL_")}
    for name in ("NO_PROXY", "no_proxy"):  # everything that they talk to is on this machine, but for the page
        inherited[name] = ",".join(filter(None, (inherited.get(name), LOOPBACK, "localhost")))
    shared = inherited | {"PANOREEL_NATS_URL": nats.url(identity, ports["nats"])}
    found: dict[str, Program] = {}
    for name, own in settings(directory, identity, ports, api_port).items():
        ready_file = directory.run / f"{name}.ready"
        env = {f"PANOREEL_{key}": value for key, value in own.items()} | {
            "PANOREEL_READY_FILE": str(ready_file)
        }
        found[name] = Program(
            name,
            [sys.executable, "-m", f"panoreel.{name}"],
            shared | env,
            directory.path,
            partial(_exists, ready_file),
            stop_timeout_s=STOP_TIMEOUT_S,
        )
    return found


async def _exists(file: Path) -> bool:
    return file.exists()  # noqa: ASYNC240 (one stat of a local file)
