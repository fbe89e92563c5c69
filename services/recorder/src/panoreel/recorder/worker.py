"""What the recorder does: it first gives back what an earlier run left, then claims tasks while it has room.

Each claimed task is recorded by a child process of its own; a `Session` looks after it. Some children wait
for tasks in advance.
"""

import asyncio
from collections.abc import Callable

import structlog

from panoreel.blobs.shared import open_shared
from panoreel.eventlog.claims import ClaimQueue
from panoreel.eventlog.deployment import WEBRTC_UDP, announce
from panoreel.eventlog.errors import Contention, LogUnavailable
from panoreel.eventlog.log import open_log
from panoreel.eventlog.secrets import SecretStore
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.recovery import left_behind, try_give_back
from panoreel.recorder.room import Room
from panoreel.recorder.session import Session
from panoreel.recorder.settings import RecorderSettings
from panoreel.recorder.udp import may_send_udp

DECLINE_S = 1.0
RESTARTED = "the recorder died and was started again"

_logger = structlog.get_logger()


async def work(settings: RecorderSettings, ready: Callable[[], None]) -> None:
    """Record until cancelled."""
    async with open_log(settings.nats_url.get_secret_value(), f"recorder {settings.recorder_id}") as log:
        stores = await open_shared(log, settings)
        secrets = SecretStore(log, [key.get_secret_value() for key in settings.secret_keys])
        udp = await may_send_udp(settings.webrtc_udp, settings.user, settings.allowed_networks)
        await announce(log, WEBRTC_UDP, settings.recorder_id, "filtered" if udp else "off")
        recorder = Recorder(settings, log, stores, secrets, udp)
        spools = await left_behind(recorder)
        async with ClaimQueue.open(log) as queue, asyncio.TaskGroup() as sessions:
            for spool in spools:  # beside each other and all else: a store of one may be away for long
                sessions.create_task(try_give_back(recorder, spool, RESTARTED))
            sessions.create_task(recorder.warm.keep(settings.warm_recordings))
            ready()
            await _claim_while_there_is_room(recorder, queue, sessions)


async def _claim_while_there_is_room(
    recorder: Recorder, queue: ClaimQueue, sessions: asyncio.TaskGroup
) -> None:
    room = Room(recorder.settings)
    try:
        while True:
            await room.available()
            if session := await _claim(recorder, queue, sessions):
                room.take(sessions.create_task(_run(recorder, session)))
    except asyncio.CancelledError:
        # The sessions are cancelled next, and can tell this from a failure of their own.
        recorder.shutting_down = True
        raise


async def _run(recorder: Recorder, session: Session) -> None:
    try:
        await session.run()
    except Exception as error:  # whatever it was, it must not touch other recordings, and this one goes on
        _logger.exception("a session failed")
        await try_give_back(recorder, session.spool, f"the recorder failed: {error!r}")


async def _claim(recorder: Recorder, queue: ClaimQueue, sessions: asyncio.TaskGroup) -> Session | None:
    """Take the next task that waits; None when there is none, or another recorder was faster."""
    offer = await queue.next()
    if offer is None:
        return None
    spool = recorder.spool(offer.event)
    if spool in recorder.returning:
        await offer.decline(DECLINE_S)
        return None
    try:
        session = await Session.claim(recorder, offer.event)
    except (LogUnavailable, Contention) as error:
        _logger.warning("not claimed", task_id=offer.event.task_id, error=str(error))
        reason = "the claim's acknowledgement was lost"
        recorder.returning.add(spool)
        sessions.create_task(try_give_back(recorder, spool, reason))
        await offer.decline(DECLINE_S)
        return None
    await offer.accept()
    return session
