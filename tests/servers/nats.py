"""Real NATS servers for tests: one node, or a cluster of three."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.js.errors import APIError

from panoreel.eventlog import topology
from tests.servers.ports import free_ports

START_TIMEOUT_S = 60.0
BINARY = Path(sys.executable).with_name("nats-server")


class NatsServer:
    """One `nats-server` process on loopback, which keeps its port and its store when started again."""

    def __init__(self, directory: Path, port: int, cluster: str = "") -> None:
        self.port = port
        self.url = f"nats://127.0.0.1:{port}"
        self._log = directory / "nats.log"
        self._config = directory / "nats.conf"
        self._config.write_text(
            f"""
            server_name: {directory.name}
            listen: "127.0.0.1:{port}"
            jetstream {{ store_dir: "{directory}", sync_interval: always, max_mem: 64M, max_file: 1G }}
            {cluster}
            """
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The server's name in its cluster."""
        return self._config.parent.name

    def start(self) -> None:
        """Start the process and wait until it accepts connections."""
        # It must not outlive a test run that is killed.
        command = ["setpriv", "--pdeathsig", "KILL", str(BINARY), "--config", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not accepts_connections(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"nats-server did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the process as a power failure would; without effect when it does not run."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process from doing anything, while its connections stay open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)


class NatsCluster:
    """Three servers that replicate to each other."""

    def __init__(self, directory: Path) -> None:
        ports = free_ports(6)
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports[3:])
        self.nodes: list[NatsServer] = []
        for number, (port, route_port) in enumerate(zip(ports[:3], ports[3:], strict=True)):
            node = directory / f"n{number}"
            node.mkdir()
            listen = f'listen: "127.0.0.1:{route_port}"'
            self.nodes.append(
                NatsServer(node, port, f"cluster {{ name: test, {listen}, routes: [{routes}] }}")
            )

    @property
    def url(self) -> str:
        """The first node's address; clients learn the others from it."""
        return self.nodes[0].url

    def node(self, name: str) -> NatsServer:
        """The node of this name."""
        [found] = [node for node in self.nodes if node.name == name]
        return found


@contextmanager
def running_server(directory: Path) -> Iterator[NatsServer]:
    """A server that runs for as long as the context lasts, with the topology applied."""
    server = NatsServer(directory, free_ports(1)[0])
    with ExitStack() as stack:
        stack.callback(server.kill)
        server.start()
        _apply_topology(server.url, replicas=1)
        yield server
    shutil.rmtree(directory)


@contextmanager
def running_cluster(directory: Path) -> Iterator[NatsCluster]:
    """A cluster that runs for as long as the context lasts, with the topology applied to all three nodes."""
    cluster = NatsCluster(directory)
    with ExitStack() as stack:
        for node in cluster.nodes:
            stack.callback(node.kill)
            node.start()
        _apply_topology(cluster.url, replicas=3)
        yield cluster
    shutil.rmtree(directory)


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _apply_topology(url: str, replicas: int) -> None:
    # In a thread of its own, because a test's event loop may belong to this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _apply_when_ready(url, replicas)).result()


async def _apply_when_ready(url: str, replicas: int) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        client = await nats.connect(url)
        # A cluster answers once it has elected a leader and counts enough members.
        while True:
            try:
                await client.jetstream(timeout=1).account_info()
                await topology.apply(url, replicas=replicas)
                break
            except (APIError, nats.errors.Error, TimeoutError):
                await asyncio.sleep(0.1)
        await client.close()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server that tests share: they keep to tasks of their own and let it live."""
    with running_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def module_nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server of the module's own. Dispatch reads a whole log, and what others wrote may stop it."""
    with running_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server of the test's own, to be killed and frozen at will."""
    with running_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """A cluster that tests share: they keep to tasks of their own and let it live."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
