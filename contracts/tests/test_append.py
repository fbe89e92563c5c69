"""The one append path: exactly once, all or nothing, and never over another writer's event."""

import asyncio

import pytest

from contracts.tests.examples import CAUSE, CLAIMED, CREATED, STARTED, STOP_REQUESTED, STOPPED
from panoreel.contracts import commands, events
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Event
from panoreel.contracts.task import Phase
from panoreel.eventlog import log as event_log
from panoreel.eventlog.errors import Conflict, Contention, LogUnavailable
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.nats import NatsCluster, NatsServer
from tests.servers.proxy import lossy_proxy

ROUNDS = 50
ENDING = (STOP_REQUESTED, STOPPED, events.CallbackSkipped())


async def stored(log: EventLog, task_id: str) -> list[StoredEvent]:
    return [event async for event in log.history(task_id)]


async def test_appended_events_are_stored_as_they_are(log: EventLog, task_id: str) -> None:
    first = await log.append(task_id, [CREATED], 0, CAUSE)
    rest = await log.append(task_id, [CLAIMED, STARTED], first[-1].seq, CAUSE)
    history = await stored(log, task_id)
    assert history == [*first, *rest]
    assert [event.event for event in history] == [CREATED, CLAIMED, STARTED]


@pytest.mark.parametrize("batch", [[CLAIMED], [STOP_REQUESTED, STOPPED]], ids=["one", "batch"])
async def test_stale_expectation_stores_nothing(log: EventLog, task_id: str, batch: list[Event]) -> None:
    [created] = await log.append(task_id, [CREATED], 0, CAUSE)
    for stale in (0, created.seq + 1):
        with pytest.raises(Conflict):
            await log.append(task_id, batch, stale, CAUSE)
    assert await stored(log, task_id) == [created]


async def test_other_tasks_do_not_conflict(log: EventLog, task_id: str) -> None:
    await log.append(task_id, [CREATED], 0, CAUSE)
    await log.append(f"{task_id}-b", [CREATED], 0, CAUSE)
    await log.append(f"{task_id[:-1]}", [CREATED], 0, CAUSE)


@pytest.mark.parametrize("count", [1, 2], ids=["one", "batch"])
async def test_of_two_writers_exactly_one_wins_each_position(
    log: EventLog, server_url: str, task_id: str, count: int
) -> None:
    [created] = await log.append(task_id, [CREATED], 0, CAUSE)
    position = created.seq
    async with open_log(server_url, "rival") as rival:
        for _ in range(ROUNDS):
            batch = [events.RefreshRequested()] * count
            answers = await asyncio.gather(
                log.append(task_id, batch, position, CAUSE),
                rival.append(task_id, batch, position, CAUSE),
                return_exceptions=True,
            )
            [lost] = [answer for answer in answers if isinstance(answer, BaseException)]
            [won] = [answer for answer in answers if not isinstance(answer, BaseException)]
            assert isinstance(lost, Conflict)
            position = won[-1].seq
    history = await stored(log, task_id)
    assert len(history) == 1 + ROUNDS * count
    assert history[-1].seq == position


async def test_execute_decides_anew_after_a_conflict(log: EventLog, task_id: str) -> None:
    await log.execute(task_id, commands.Create(CREATED), CAUSE)
    pausing = [log.execute(task_id, commands.Pause(), CAUSE) for _ in range(4)]
    outcomes = await asyncio.gather(*pausing, log.execute(task_id, commands.Claim("r"), CAUSE))
    assert sorted(len(outcome.appended) for outcome in outcomes) == [0, 0, 0, 1, 1]
    task, seq = await log.load(task_id)
    assert task is not None
    assert (task.status, task.recorder_id) == ("paused", "r")
    assert seq == max(outcome.seq for outcome in outcomes)


async def test_of_many_deciders_none_is_turned_away(log: EventLog, task_id: str) -> None:
    await log.append(task_id, [CREATED, CLAIMED, STARTED], 0, CAUSE)
    outcomes = await asyncio.gather(*(log.execute(task_id, commands.Refresh(), CAUSE) for _ in range(20)))
    assert len({outcome.seq for outcome in outcomes}) == 20


async def test_a_task_that_never_rests_is_given_up(
    log: EventLog, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "DECIDING_S", 0.0)
    await log.append(task_id, [CREATED], 0, CAUSE)
    with pytest.raises(Contention, match="kept changing"):
        await log.execute(task_id, commands.Create(CREATED), CAUSE)


async def test_creating_twice_is_refused(log: EventLog, task_id: str) -> None:
    outcome = await log.execute(task_id, commands.Create(CREATED), CAUSE)
    assert outcome.task.phase is Phase.NORMAL
    with pytest.raises(commands.TaskExists):
        await log.execute(task_id, commands.Create(CREATED), CAUSE)
    assert len(await stored(log, task_id)) == 1


async def test_command_for_an_unknown_task_is_refused(log: EventLog, task_id: str) -> None:
    assert await log.load(task_id) == (None, 0)
    with pytest.raises(commands.TaskNotFound):
        await log.execute(task_id, commands.Pause(), CAUSE)


@pytest.fixture(params=["one node", "cluster"])
def server(request: pytest.FixtureRequest) -> NatsServer:
    """A server to put a proxy before."""
    if request.param == "one node":
        single: NatsServer = request.getfixturevalue("nats_server")
        return single
    cluster: NatsCluster = request.getfixturevalue("nats_cluster")
    return cluster.nodes[0]


@pytest.mark.parametrize(
    ("batch", "last_request"),
    [(ENDING[:1], b"Nats-Msg-Id"), (ENDING, b"Nats-Batch-Commit")],
    ids=["one", "batch"],
)
@pytest.mark.parametrize("fault", ["lose_answer_to", "hold_back"])
async def test_lost_acknowledgement_is_cleared_up(
    server: NatsServer, task_id: str, batch: tuple[Event, ...], last_request: bytes, fault: str
) -> None:
    """The events are stored once, and reported so, though an answer got lost or a repeat overlapped."""
    async with lossy_proxy(server.port) as proxy, open_log(proxy.url, "test") as log:
        [created] = await log.append(task_id, [CREATED], 0, CAUSE)
        getattr(proxy, fault)(last_request)
        appended = await log.append(task_id, batch, created.seq, CAUSE)
        assert proxy.incidents == 1
        assert await stored(log, task_id) == [created, *appended]
        assert len(appended) == len(batch)


async def test_lost_acknowledgement_of_a_losing_writer_is_a_conflict(
    server: NatsServer, task_id: str
) -> None:
    async with lossy_proxy(server.port) as proxy, open_log(proxy.url, "test") as log:
        [created] = await log.append(task_id, [CREATED], 0, CAUSE)
        await log.append(task_id, [CLAIMED], created.seq, CAUSE)
        proxy.lose_answer_to(b"Nats-Msg-Id")
        with pytest.raises(Conflict):
            await log.append(task_id, [STOP_REQUESTED], created.seq, CAUSE)
        assert proxy.incidents == 1


async def test_frozen_server_delays_an_append(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log:
        own_nats_server.freeze()
        appending = asyncio.create_task(log.append("slow", [CREATED], 0, CAUSE))
        await asyncio.sleep(1.2)
        assert not appending.done()
        own_nats_server.thaw()
        appended = await appending
        assert await stored(log, "slow") == list(appended)


async def test_absent_server_is_reported(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panoreel.eventlog.log.PATIENCE_S", 0.5)
    async with open_log(own_nats_server.url, "test") as log:
        own_nats_server.kill()
        with pytest.raises(LogUnavailable):
            await log.append("absent", [CREATED], 0, CAUSE)
        with pytest.raises(LogUnavailable):
            await log.load("absent")
