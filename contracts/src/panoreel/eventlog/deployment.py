"""What all services of one deployment must have in common, and cannot see of each other."""

import asyncio
from contextlib import suppress
from typing import Final

import nats.errors
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import FIRST_RETRY_S, PATIENCE_S, EventLog
from panoreel.eventlog.topology import DEPLOYMENT

WEBRTC_UDP: Final = "webrtc_udp"
"""Whether a page's WebRTC may use UDP: "filtered" or "off", as the recorder says that started last."""


async def agreed(log: EventLog, name: str, value: str) -> str:
    """What the deployment's services take `name` for: `value`, if this is the first one to say.

    Raises:
        LogUnavailable: the bucket did not answer.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            bucket = await log.js.key_value(DEPLOYMENT)
            while True:
                try:
                    with suppress(KeyWrongLastSequenceError):
                        await bucket.create(name, value.encode())
                    return ((await bucket.get(name)).value or b"").decode()
                except KeyNotFoundError:
                    # Another service was first, and a cluster is still storing what it said.
                    await asyncio.sleep(FIRST_RETRY_S)
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the deployment bucket does not answer") from error


async def announce(log: EventLog, name: str, value: str) -> None:
    """Let all of the deployment's services know a fact, in the place of what was said before.

    Raises:
        LogUnavailable: the bucket did not answer.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            await (await log.js.key_value(DEPLOYMENT)).put(name, value.encode())
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the deployment bucket does not answer") from error


async def announced(log: EventLog, name: str) -> str | None:
    """What was announced as `name`; None if nothing was.

    Raises:
        LogUnavailable: the bucket did not answer.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return ((await (await log.js.key_value(DEPLOYMENT)).get(name)).value or b"").decode()
    except KeyNotFoundError:
        return None
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the deployment bucket does not answer") from error
