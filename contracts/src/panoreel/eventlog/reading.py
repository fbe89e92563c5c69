"""Reading a stream in order, from any position, through broker restarts."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

IDLE_S: Final = 10.0
"""After this much silence the subscription is made anew, in case it was lost unnoticed."""

RETRY_S: Final = 0.5
BATCH: Final = 500


async def read(js: JetStreamContext, stream: str, subject: str, after: int) -> AsyncGenerator[list[Msg]]:
    """Messages of `subject` above sequence `after`, in order, without end, in batches as they come."""
    position = after
    while True:
        try:
            config = ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=position + 1,
                inactive_threshold=30,
            )
            subscription = await js.subscribe(subject, stream=stream, ordered_consumer=True, config=config)
        except (nats.errors.Error, TimeoutError):
            await asyncio.sleep(RETRY_S)
            continue
        try:
            while True:
                batch = [await subscription.next_msg(timeout=IDLE_S)]
                while subscription.pending_msgs and len(batch) < BATCH:
                    batch.append(await subscription.next_msg(timeout=1))
                fresh = [message for message in batch if sequence(message) > position]
                if fresh:
                    position = sequence(fresh[-1])
                    yield fresh
        except (nats.errors.Error, TimeoutError):
            pass
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()


async def scan(
    js: JetStreamContext, stream: str, subject: str, *, direct: bool = True
) -> AsyncGenerator[list[Msg]]:
    """Every message of `subject` up to the newest there is now. `direct` may ask a replica that lags."""
    try:
        newest = await js.get_msg(stream, subject=subject, direct=direct)
    except NotFoundError:
        return
    assert newest.seq is not None
    batches = read(js, stream, subject, after=0)
    try:
        async for batch in batches:
            yield [message for message in batch if sequence(message) <= newest.seq]
            if sequence(batch[-1]) >= newest.seq:
                return
    finally:
        await batches.aclose()


def sequence(message: Msg) -> int:
    """The message's position in its stream."""
    return message.metadata.sequence.stream
