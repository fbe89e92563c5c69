"""The embedded SeaweedFS: an S3 gateway with a bucket for results, which anyone here may download."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from .datadir import DataDirectory, Identity, write_private
from .nats import bundled
from .ports import LOOPBACK
from .process import Program

BUCKET = "panoreel"
RAW_BUCKET = "panoreel-raw"
"""For media on its way, which only we may read."""
REGION = "us-east-1"
PORTS = (
    *("s3", "s3_grpc", "seaweed_master", "seaweed_master_grpc", "seaweed_volume", "seaweed_volume_grpc"),
    *("seaweed_filer", "seaweed_filer_grpc", "seaweed_admin"),
)
STOP_TIMEOUT_S = 3.0
"""A stop takes 1 s, but now and then 30. What was acknowledged is with the kernel: a kill loses nothing."""


def url(ports: Mapping[str, int]) -> str:
    """The S3 endpoint."""
    return f"http://{LOOPBACK}:{ports['s3']}"


def program(directory: DataDirectory, identity: Identity, ports: Mapping[str, int]) -> Program:
    """The server as a program: master, volume, filer and gateway in one process, everything else off.

    Options: `weed help mini`; the two files: https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API and
    https://github.com/seaweedfs/seaweedfs/wiki/Security-Configuration.
    """
    home = directory.path / "seaweedfs"
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    write_private(home / "s3.json", json.dumps(_identities(identity)))
    # Without these keys, and with HTTP to master and filer, any page open on this machine, or recorded here,
    # could list, read, write and delete everything.
    keys = (
        f'[{section}]\nkey = "{identity.seaweed_write_key}"\n'
        for section in ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    )
    write_private(home / "security.toml", "".join(keys))
    options = {
        "dir": data,
        "disableHttp": "true",
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "bucket": BUCKET,
        "s3.config": home / "s3.json",
        "s3.port": ports["s3"],
        "s3.port.grpc": ports["s3_grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": directory.run / "s3.sock",
        "filer.port": ports["seaweed_filer"],
        "filer.port.grpc": ports["seaweed_filer_grpc"],
        "filer.localSocket": directory.run / "filer.sock",
        "master.port": ports["seaweed_master"],
        "master.port.grpc": ports["seaweed_master_grpc"],
        "master.telemetry": "false",
        "volume.port": ports["seaweed_volume"],
        "volume.port.grpc": ports["seaweed_volume_grpc"],
        "volume.preStopSeconds": 0,
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": ports["seaweed_admin"],
        "admin.port.grpc": _admin_grpc(ports),
    }
    argv = [
        bundled("weed"),
        "-logtostderr=true",
        "mini",
        *(f"-{name}={value}" for name, value in options.items()),
    ]

    async def is_ready() -> bool:
        """Missing a key takes gateway, filer and bucket; the master must know the volume server as well."""
        if "NoSuchKey" not in await _get(ports["s3"], f"/{BUCKET}/.ready"):
            return False
        topology = await _get(ports["seaweed_master"], "/")
        return f"{LOOPBACK}:{ports['seaweed_volume']}" in topology

    def before_start() -> None:
        remove_sockets(ports)
        for socket in (directory.run / "s3.sock", directory.run / "filer.sock"):
            socket.unlink(missing_ok=True)

    # `HOME` keeps it off ~/.seaweedfs; our security.toml lies in its working directory.
    env = {"HOME": str(home)}
    return Program(
        "seaweedfs", argv, env, home, is_ready, before_start=before_start, stop_timeout_s=STOP_TIMEOUT_S
    )


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets that the server puts into /tmp whatever it is told, and often leaves there."""
    for name, port in {**ports, "admin_grpc": _admin_grpc(ports)}.items():
        if name.endswith("_grpc"):
            part = name.removeprefix("seaweed_").removesuffix("_grpc")
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


def _admin_grpc(ports: Mapping[str, int]) -> int:
    """The server's own worker looks for it there, whatever else is asked for, and complains for ever."""
    return ports["seaweed_admin"] + 10_000


def _identities(identity: Identity) -> dict[str, object]:
    owner = {
        "name": "panoreel",
        "credentials": [{"accessKey": identity.s3_access_key, "secretKey": identity.s3_secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return {"identities": [owner, {"name": "anonymous", "actions": [f"Read:{BUCKET}"]}]}


async def _get(port: int, path: str) -> str:
    """A bare HTTP/1.0 GET; empty while nobody answers."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 2.0)
        writer.close()
    except (OSError, TimeoutError):
        return ""
    return answer.decode(errors="replace")
