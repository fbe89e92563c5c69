"""A real S3 store for tests: SeaweedFS."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from panoreel.blobs.places import StoreAccess
from tests.servers.ports import free_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START_TIMEOUT_S = 60.0
BINARY = Path(sys.executable).with_name("weed")
SERVICES = ("master", "volume", "filer", "admin", "s3")


class Seaweed:
    """One `weed mini` process on loopback, which keeps its ports and its files when started again."""

    access_key = "test-access-key"
    secret_key = "test-secret-key"
    region = "us-east-1"
    bucket = "panoreel"

    def __init__(self, directory: Path) -> None:
        ports = free_ports(2 * len(SERVICES))
        # SeaweedFS puts these there whatever it is told.
        self._sockets = [
            Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock")
            for name, port in zip(SERVICES, ports[len(SERVICES) :], strict=True)
        ]
        self.endpoint = f"http://127.0.0.1:{ports[SERVICES.index('s3')]}"
        self._log = directory / "weed.log"
        self._command = [
            # It must not outlive a test run that is killed.
            *("setpriv", "--pdeathsig", "KILL", str(BINARY), f"-logdir={directory}", "mini"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            f"-dir={directory}",
            f"-bucket={self.bucket}",
            f"-s3.config={self._write_credentials(directory)}",
            *("-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
            *("-admin.ui=false", "-webdav=false", "-master.telemetry=false"),
            f"-filer.localSocket={directory / 'filer.sock'}",
            f"-s3.localSocket={directory / 's3.sock'}",
            *(f"-{name}.port={port}" for name, port in zip(SERVICES, ports, strict=False)),
            *(
                f"-{name}.port.grpc={port}"
                for name, port in zip(SERVICES, ports[len(SERVICES) :], strict=True)
            ),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def access(self) -> StoreAccess:
        """How the services reach it."""
        return StoreAccess(
            endpoint=self.endpoint,
            region=self.region,
            access_key=SecretStr(self.access_key),
            secret_key=SecretStr(self.secret_key),
        )

    def client(self, max_attempts: int = 1) -> "S3Client":
        """A client of the test's own, to look at what the store holds."""
        return boto3.session.Session(self.access_key, self.secret_key, region_name=self.region).client(
            "s3",
            endpoint_url=self.endpoint,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=2,
                retries={"total_max_attempts": max_attempts},
            ),
        )

    def start(self) -> None:
        """Start the process and wait until its bucket is there."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT_S
        client = self.client()
        while not self._works(client):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"weed did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the process as a power failure would; without effect when it does not run."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            for socket in self._sockets:
                socket.unlink(missing_ok=True)

    def _works(self, client: "S3Client") -> bool:
        """Whether an object can be stored: the gateway answers before a volume is there to write to."""
        try:
            client.put_object(Bucket=self.bucket, Key="probe", Body=b"probe")
            client.delete_object(Bucket=self.bucket, Key="probe")
        except (ClientError, BotoCoreError):
            return False
        finally:
            client.close()
        return True

    def _write_credentials(self, directory: Path) -> Path:
        file = directory / "s3.json"
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        file.write_text(
            json.dumps({"identities": [{"name": "test", "credentials": [keys], "actions": ["Admin"]}]})
        )
        return file


@contextmanager
def running_seaweed(directory: Path) -> Iterator[Seaweed]:
    """A store that runs for as long as the context lasts."""
    seaweed = Seaweed(directory)
    try:
        seaweed.start()
        yield seaweed
    finally:
        seaweed.kill()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A store that tests share: they keep to keys of their own and let it live."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as store:
        yield store


@pytest.fixture
def own_seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A store of the test's own, to be killed at will."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as store:
        yield store
