"""What the tests of this package share."""

from collections.abc import AsyncIterator
from uuid import uuid4

import hypothesis
import pytest

from panoreel.eventlog import connection, reactions, reading
from panoreel.eventlog import log as event_log
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.nats import NatsCluster, NatsServer

# Time limits for single examples say nothing on a shared machine.
hypothesis.settings.register_profile("panoreel", deadline=None)
hypothesis.settings.load_profile("panoreel")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients notice and repeat what was lost quickly, so that tests of outages are short."""
    monkeypatch.setattr(reading, "HEARTBEAT_S", 0.25)
    monkeypatch.setattr(reactions, "PULL_S", 0.5)
    monkeypatch.setattr(event_log, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(connection, "RECONNECT_WAIT_S", 0.1)
    monkeypatch.setattr(reactions, "RECONNECT_WAIT_S", 0.1)


@pytest.fixture
def task_id() -> str:
    """A task of the test's own."""
    return f"t-{uuid4().hex}"


@pytest.fixture(params=["one node", "cluster"])
def server_url(request: pytest.FixtureRequest) -> str:
    """The shared server, and the shared cluster."""
    name = "nats_server" if request.param == "one node" else "nats_cluster"
    server: NatsServer | NatsCluster = request.getfixturevalue(name)
    return server.url


@pytest.fixture
async def log(server_url: str) -> AsyncIterator[EventLog]:
    """The log of the shared server, and of the shared cluster."""
    async with open_log(server_url, "test") as log:
        yield log
