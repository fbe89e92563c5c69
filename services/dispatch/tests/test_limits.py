"""Limits of time hold when nobody is left who counts: recorder, dispatch and broker may all be gone."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography.fernet import Fernet

from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import Event, RecordingFailed, StopRequested
from panoreel.dispatch.limits import GRACE_S
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.topology import DURATION_LIMIT, QUEUE_TIMEOUT, TIMERS
from tests.servers.dispatch import run_dispatch
from tests.servers.nats import NatsServer

CAUSE = Cause("test")
WAIT_S = 60.0

E = TypeVar("E", bound=Event)


async def test_a_recording_ends_at_its_limit_whatever_is_restarted(
    own_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> None:
    key = Fernet.generate_key().decode()
    running = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, key)
    hung = running.start(MaxDurationLimit=4)
    stopped = running.start(MaxDurationLimit=4)
    patient = running.start(MaxDurationLimit=600, QueueTimeout=3)
    waiting = running.start(QueueTimeout=3)
    async with open_log(own_nats_server.url, "test") as log:
        began = datetime.now(UTC)
        for task_id in (hung, stopped, patient):
            await begin(log, task_id, 1, began - timedelta(seconds=GRACE_S))
        await log.execute(hung, commands.ReportLost(epoch=1, last_index=None, reason="gone"), CAUSE)
        # The limit counts from the first frame of the task, not from that of its second recorder.
        await begin(log, hung, 2, began)
        running.act("Stop", TaskID=stopped)
        await until_set(log, {hung, patient}, {patient, waiting})
    running.process.kill()
    running.process.wait()
    own_nats_server.kill()
    await asyncio.sleep(1)
    (tmp_path / "ready").unlink()
    own_nats_server.start()
    again = run_dispatch(own_nats_server.url, postgres_dsn, tmp_path, key)
    try:
        async with open_log(own_nats_server.url, "test") as log:
            [stop] = await until_happened(log, hung, StopRequested)
            assert stop.reason == "duration_limit"
            assert [stop.reason for stop in await until_happened(log, stopped, StopRequested)] == ["api"]
            [expired] = await until_happened(log, waiting, RecordingFailed)
            assert expired.failure.code == "QueueTimeout"
            ended, _ = await log.load(hung)
            assert ended
            assert ended.cancel_time
            assert ended.cancel_time - began >= timedelta(seconds=4)
            assert again.act("Describe", TaskID=patient)["Status"] == "recording"
    finally:
        again.process.terminate()
        assert again.process.wait(30) == 0
    assert "Traceback" not in again.log.read_text()


async def begin(log: EventLog, task_id: str, epoch: int, first_frame: datetime) -> None:
    """Record as a recorder that is heard of once, and then never again."""
    await log.execute(task_id, commands.Claim(f"recorder-{epoch}"), CAUSE)
    await log.execute(task_id, commands.ReportStarted(epoch=epoch, wall_time=first_frame), CAUSE)


async def until_set(log: EventLog, limited: set[str], queued: set[str]) -> None:
    """Wait until the tasks' timers are set, and every start has been reacted to."""
    wanted = {f"timer.set.{task_id}.{DURATION_LIMIT}" for task_id in limited}
    wanted |= {f"timer.set.{task_id}.{QUEUE_TIMEOUT}" for task_id in queued}
    async with asyncio.timeout(WAIT_S):
        while True:
            state = (await log.js.stream_info(TIMERS, subjects_filter="timer.set.>")).state
            reaction = await log.js.consumer_info("TASKS", "dispatch-timers")
            if wanted <= set(state.subjects or {}) and not (reaction.num_pending or reaction.num_ack_pending):
                return
            await asyncio.sleep(0.05)


async def until_happened(log: EventLog, task_id: str, kind: type[E]) -> list[E]:
    """The task's events of this kind, once there is one."""
    async with asyncio.timeout(WAIT_S):
        while True:
            history = [stored.event async for stored in log.history(task_id)]
            if found := [event for event in history if isinstance(event, kind)]:
                return found
            await asyncio.sleep(0.1)
