"""Reading a stream in order, from any position, through broker restarts."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from panoreel.eventlog.errors import LogUnavailable

HEARTBEAT_S: Final = 1.0
"""How often the server shows that a reader's consumer lives; two to four missed ones make it anew."""

IDLE_S: Final = 60.0
"""After this long without a message the subscription is made anew, in case it was lost unnoticed."""

ABANDONED_S: Final = 5.0
"""How long the server keeps the consumer of a reader that has gone."""

RETRY_S: Final = 0.25
BATCH: Final = 500

_STREAM_NOT_FOUND: Final = 10059
"""JetStream's error code, whose status is the same as that of a message that is not found."""


async def read(js: JetStreamContext, stream: str, subject: str, after: int) -> AsyncGenerator[list[Msg]]:
    """Messages of `subject` above sequence `after`, in order, without end, in batches as they come."""
    position = after
    while True:
        try:
            config = ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=position + 1,
                idle_heartbeat=HEARTBEAT_S,
                inactive_threshold=ABANDONED_S,
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


async def scan(js: JetStreamContext, stream: str, subject: str, after: int = 0) -> AsyncGenerator[list[Msg]]:
    """Every message of `subject` above sequence `after` up to the newest there is now."""
    newest = await _newest(js, stream, subject)
    if newest <= after:
        return
    async with aclosing(read(js, stream, subject, after)) as batches:
        async for batch in batches:
            yield [message for message in batch if sequence(message) <= newest]
            if sequence(batch[-1]) >= newest:
                return


async def _newest(js: JetStreamContext, stream: str, subject: str) -> int:
    """The position of the subject's last message, asked of the leader; 0 when there is none."""
    while True:
        try:
            found = await js.get_msg(stream, subject=subject)
        except NotFoundError as error:
            if error.err_code == _STREAM_NOT_FOUND:
                raise LogUnavailable(f"there is no stream {stream}") from error
            return 0
        except (nats.errors.Error, TimeoutError):
            await asyncio.sleep(RETRY_S)
        else:
            assert found.seq is not None
            return found.seq


def sequence(message: Msg) -> int:
    """The message's position in its stream."""
    return message.metadata.sequence.stream
