"""What the tests of this package share."""

from collections.abc import AsyncIterator
from uuid import uuid4

import hypothesis
import pytest

from panoreel.eventlog import connection, reactions
from panoreel.eventlog import log as event_log
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.nats import NatsCluster, NatsServer

# Time limits for single examples say nothing on a shared machine.
hypothesis.settings.register_profile("panoreel", deadline=None)
hypothesis.settings.load_profile("panoreel")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients come back and repeat lost requests quickly, so that tests of outages are short."""
    monkeypatch.setattr(event_log, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(connection, "RECONNECT_WAIT_S", 0.1)
    monkeypatch.setattr(reactions, "RECONNECT_WAIT_S", 0.1)


@pytest.fixture
def task_id() -> str:
    """A task of the test's own."""
    return f"t-{uuid4().hex}"


@pytest.fixture(params=["one node", "cluster"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    """The shared server's log, and the shared cluster's."""
    name = "nats_server" if request.param == "one node" else "nats_cluster"
    server: NatsServer | NatsCluster = request.getfixturevalue(name)
    async with open_log(server.url, "test") as log:
        yield log
