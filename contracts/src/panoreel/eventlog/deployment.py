"""What all services of one deployment must have in common, and cannot see of each other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from hashlib import sha256
from typing import Final

import nats.errors
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import FIRST_RETRY_S, PATIENCE_S, EventLog
from panoreel.eventlog.reading import read
from panoreel.eventlog.topology import DEPLOYMENT

WEBRTC_UDP: Final = "webrtc_udp"
"""Whether a page's WebRTC may use UDP: "filtered" or "off", as each recorder says."""


async def agreed(log: EventLog, name: str, value: str) -> str:
    """What the deployment's services take `name` for: `value`, if this is the first one to say.

    Raises:
        LogUnavailable: the bucket did not answer.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    bucket = await log.js.key_value(DEPLOYMENT)
                    with suppress(KeyWrongLastSequenceError):
                        await bucket.create(name, value.encode())
                    return ((await bucket.get(name)).value or b"").decode()
                except (KeyNotFoundError, nats.errors.TimeoutError):
                    # Another service was first, and a cluster is still storing what it said; or an answer
                    # was lost.
                    await asyncio.sleep(FIRST_RETRY_S)
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the deployment bucket does not answer") from error


async def announce(log: EventLog, name: str, by: str, value: str) -> None:
    """Let all of the deployment's services know what `by` says, in the place of what it said before.

    Raises:
        LogUnavailable: the bucket did not answer.
    """
    # Whatever `by` consists of, a key may not.
    key = f"{name}.{sha256(by.encode()).hexdigest()[:16]}"
    try:
        async with asyncio.timeout(PATIENCE_S):
            await (await log.js.key_value(DEPLOYMENT)).put(key, value.encode())
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the deployment bucket does not answer") from error


async def announcements(log: EventLog, name: str) -> AsyncGenerator[tuple[str, str]]:
    """What is announced as `name`, from now on without end: an id of who says so, and what."""
    subject = f"$KV.{DEPLOYMENT}.{name}.*"
    async with aclosing(read(log.js, f"KV_{DEPLOYMENT}", subject, after=0)) as batches:
        async for batch in batches:
            for message in batch:
                yield message.subject, message.data.decode()
