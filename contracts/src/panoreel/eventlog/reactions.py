"""How a service reacts to events: at least once, retried with growing pauses, never silently lost.

A handler is idempotent and says by exception what is to happen: `Transient` (or anything unforeseen) tries
again later, `Permanent` gives up. Giving up first lets the service record the failure as an event, then
terminates the delivery, whose advisory lands in the stream `DEAD`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import nats.errors
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from nats.js.api import ConsumerConfig
from pydantic import BaseModel, ValidationError

from panoreel.contracts.commands import Rejected
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Failure
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.eventlog.connection import RECONNECT_WAIT_S
from panoreel.eventlog.errors import Permanent
from panoreel.eventlog.log import stored_event
from panoreel.eventlog.topology import DurableConsumer

GRACEFUL_STOP_S: Final = 15.0

PULL_S: Final = 2.0
"""How long one request for the next event stands; a server that restarts forgets it."""

Fact = TypeVar("Fact", bound=BaseModel)
Handle = Callable[[StoredEvent], Awaitable[None]]
GiveUp = Callable[[StoredEvent, Failure], Awaitable[None]]
Settle = Callable[[NatsMessage], Awaitable[None]]

_logger = structlog.get_logger()


def retry_delay_s(deliveries: int) -> float:
    """The pause before the next delivery, after `deliveries` of them."""
    return float(min(2 ** (deliveries - 1), 60))


@asynccontextmanager
async def reacting(
    nats_url: str, service: str, consumer: DurableConsumer, handle: Handle, give_up: GiveUp
) -> AsyncIterator[None]:
    """Feed the consumer's events to `handle`, in its lanes, for as long as the context lasts."""

    async def settle(message: NatsMessage) -> None:
        await _settle(message, consumer, handle, give_up)

    async with delivering(nats_url, service, consumer, settle):
        yield


@asynccontextmanager
async def following(
    nats_url: str,
    service: str,
    consumer: DurableConsumer,
    fact: type[Fact],
    handle: Callable[[Fact], Awaitable[None]],
) -> AsyncIterator[None]:
    """Feed the consumer's messages, each of which is a `fact`, to `handle`, for as long as the context lasts.

    `handle` is idempotent, and called again with growing pauses until it succeeds.
    """

    async def settle(message: NatsMessage) -> None:
        await _settle_fact(message, consumer, fact, handle)

    async with delivering(nats_url, service, consumer, settle):
        yield


@asynccontextmanager
async def delivering(
    nats_url: str, service: str, consumer: DurableConsumer, settle: Settle
) -> AsyncIterator[None]:
    """Feed the consumer's messages to `settle`, which acknowledges each, for as long as the context lasts."""
    broker = NatsBroker(
        nats_url,
        name=service,
        logger=None,
        graceful_timeout=GRACEFUL_STOP_S,
        ack_policy=AckPolicy.MANUAL,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,
    )
    for _ in range(consumer.lanes):
        broker.subscriber(
            consumer.filters[0],
            stream=JStream(consumer.stream, declare=False),
            durable=consumer.name,
            config=ConsumerConfig(filter_subjects=list(consumer.filters)),
            # One at a time: messages that wait in a client's queue use up their acknowledgement time there.
            pull_sub=PullSub(batch_size=1, timeout=PULL_S),
        )(settle)
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


@asynccontextmanager
async def tried_again(message: NatsMessage, consumer: DurableConsumer) -> AsyncIterator[None]:
    """Have the message delivered again, later, if what is done with it within the context fails.

    For as long as that takes nobody else gets it. When it raises `Rejected` there is nothing left to do.
    """
    log = _bound(message, consumer)
    alive = asyncio.create_task(_stay_alive(message, consumer.ack_wait_s / 3))
    try:
        yield
    except Rejected as error:
        # The task has moved on without us: somebody else did this work.
        log.info("nothing to do", reason=str(error))
        await message.ack()
    except Exception as error:  # whatever it was, the message must be tried again and not be lost
        log.warning("will be tried again", error=repr(error), exc_info=error)
        await message.nack(delay=retry_delay_s(message.raw_message.metadata.num_delivered))
    except asyncio.CancelledError:
        # Shutdown: another replica may start at once, instead of when the acknowledgement time is over.
        await asyncio.shield(message.nack())
        raise
    finally:
        alive.cancel()


async def _settle(message: NatsMessage, consumer: DurableConsumer, handle: Handle, give_up: GiveUp) -> None:
    log = _bound(message, consumer)
    try:
        event = stored_event(message.raw_message)
    except UndecodableEvent:
        log.exception("event is unreadable")
        await message.reject()
        return
    async with tried_again(message, consumer):
        deliveries = message.raw_message.metadata.num_delivered
        failure = await _attempt(event, deliveries, consumer.max_deliver, handle)
        if failure is None:
            await message.ack()
        else:
            log.warning("gave up", error=failure.message)
            await give_up(event, failure)
            await message.reject()


async def _settle_fact(
    message: NatsMessage,
    consumer: DurableConsumer,
    fact: type[Fact],
    handle: Callable[[Fact], Awaitable[None]],
) -> None:
    try:
        content = fact.model_validate_json(message.raw_message.data, extra="ignore")
    except ValidationError:
        _bound(message, consumer).exception("message is unreadable")
        await message.reject()
        return
    async with tried_again(message, consumer):
        await handle(content)
        await message.ack()


def _bound(message: NatsMessage, consumer: DurableConsumer) -> structlog.typing.FilteringBoundLogger:
    raw = message.raw_message
    bound: structlog.typing.FilteringBoundLogger = _logger.bind(
        consumer=consumer.name, subject=raw.subject, delivery=raw.metadata.num_delivered
    )
    return bound


async def _attempt(event: StoredEvent, deliveries: int, attempts: int, handle: Handle) -> Failure | None:
    """Handle the event; what to give it up with, if that is what is left to do."""
    if 0 < attempts < deliveries:
        return Failure(code="InternalError", message=f"no success in {attempts} attempts")
    try:
        await handle(event)
    except Rejected:
        raise
    except Permanent as error:
        return Failure(code=error.code, message=str(error))
    except Exception as error:
        if attempts < 0 or deliveries < attempts:
            raise
        return Failure(code="InternalError", message=f"{error} (after {deliveries} attempts)")
    return None


async def _stay_alive(message: NatsMessage, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        with suppress(nats.errors.Error):
            await message.in_progress()
