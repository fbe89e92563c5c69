"""Many clients, two replicas, one task: all answers fit one order of events, and all records of it agree."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import StopRequested
from panoreel.contracts.task import Phase
from panoreel.dispatch.audit import audit
from panoreel.dispatch.database import connect
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.dispatch import URL, run_dispatch
from tests.servers.nats import NatsServer

CLIENTS = 20
CAUSE = Cause("test")

REFUSED = {"Pause": "can't pause a task in status", "Resume": "can't resume a task in status"}
"""What may be refused at all, and how: once a recording is stopped. All else is always a success here."""

STOPS = ("Stop", "Cancel", "ForceStop", "ForceStop")
"""What one client each does at last."""

STAGES = {"recording": 1, "paused": 1, "canceled": 2, "transcode": 3}


class Caller:
    """One client, which checks each answer against all that it was told before."""

    def __init__(self, http: httpx.AsyncClient, url: str, task_id: str) -> None:
        self._http = http
        self._url = url
        self._task_id = task_id
        self._stage = 1

    async def call(self, action: str) -> None:
        """Call one action."""
        answer = await ask(self._http, self._url, action, TaskID=self._task_id)
        if action == "Describe":
            stage = STAGES[answer["Status"]]
            assert stage >= self._stage, f"{answer} after stage {self._stage}"
            self._stage = stage
        elif "ErrorCode" in answer:
            assert answer["ErrorCode"] == "InvalidStatus"
            assert answer["ErrorMessage"].startswith(REFUSED[action])
            self._stage = max(self._stage, STAGES["canceled"])
        else:
            assert answer == {"TaskID": self._task_id}
            if action in STOPS:
                self._stage = max(self._stage, STAGES["canceled"])
            elif action in REFUSED:
                assert self._stage < STAGES["canceled"], f"{action} of a task that is known to be stopped"


async def ask(http: httpx.AsyncClient, url: str, action: str, **data: Any) -> dict[str, Any]:
    """The answer to one action, which is never an HTTP error."""
    answer = await http.post(f"{url}/record", json={"Action": action, "Data": data})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    del body["RequestID"]
    return body


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.soak)])
async def test_commands_of_many_clients_at_once(
    rounds: int, own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    async with (
        replicas(own_nats_server.url, postgres_dsn, tmp_path) as urls,
        open_log(own_nats_server.url, "test") as log,
        httpx.AsyncClient(timeout=30) as http,
    ):
        for number in range(rounds):
            await play(log, http, urls, random.Random(number))
        async with connect(postgres_dsn) as engine:
            assert await audit(engine, log) == []


async def play(log: EventLog, http: httpx.AsyncClient, urls: list[str], chance: random.Random) -> None:
    """One task's life under the hands of all clients, some of which stop it."""
    task_id = (await ask(http, urls[0], "Start", RecordURL=URL))["TaskID"]
    await log.execute(task_id, commands.Claim("recorder"), CAUSE)
    await log.execute(task_id, commands.ReportStarted(epoch=1, wall_time=datetime.now(UTC)), CAUSE)
    everything = ["Pause", "Resume", "Refresh", "Describe"]
    plans = [chance.choices(everything, k=4) for _ in range(CLIENTS)]
    for plan, stop in zip(plans, STOPS, strict=False):
        plan[chance.randrange(1, 4) :] = [stop, "Describe"]
    callers = [Caller(http, urls[number % len(urls)], task_id) for number in range(CLIENTS)]
    # The recorder's events were not appended by dispatch, which therefore need not have read them yet.
    await ask(http, urls[0], "Refresh", TaskID=task_id)

    async def follow(caller: Caller, plan: list[str]) -> None:
        for action in plan:
            await caller.call(action)

    async with asyncio.TaskGroup() as group:
        for caller, plan in zip(callers, plans, strict=True):
            group.create_task(follow(caller, plan))
    await check_history(log, task_id)
    for url in urls:
        assert (await ask(http, url, "Describe", TaskID=task_id))["Status"] == "canceled"


async def check_history(log: EventLog, task_id: str) -> None:
    """Pauses and resumes take turns, a stop ends them, and nothing but one forced stop comes after it."""
    happened = [stored.event async for stored in log.history(task_id)]
    stops = [event.force for event in happened if isinstance(event, StopRequested)]
    assert stops in ([True], [False, True])
    history = [event.type for event in happened]
    assert history[:3] == ["task_created", "recording_claimed", "recording_started"]
    assert history[-len(stops) :] == ["stop_requested"] * len(stops)
    turns = [kind for kind in history if kind in ("pause_requested", "resume_requested")]
    assert turns[::2] == ["pause_requested"] * len(turns[::2])
    assert turns[1::2] == ["resume_requested"] * len(turns[1::2])
    task, _ = await log.load(task_id)
    assert task
    assert task.phase == Phase.CANCELED


@asynccontextmanager
async def replicas(nats_url: str, dsn: str, directory: Path) -> AsyncIterator[list[str]]:
    """Two replicas of dispatch, which end without a traceback; their addresses."""
    key = Fernet.generate_key().decode()
    async with AsyncExitStack() as stack:
        running = []
        for name in ("one", "other"):
            (directory / name).mkdir()
            running.append(run_dispatch(nats_url, dsn, directory / name, key))
            stack.callback(running[-1].process.wait)
            stack.callback(running[-1].process.terminate)
        yield [dispatch.url for dispatch in running]
        for dispatch in running:
            assert "Traceback" not in dispatch.log.read_text()
