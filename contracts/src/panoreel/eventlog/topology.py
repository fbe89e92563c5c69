"""The streams, consumers and buckets that the services rely on, as data.

`apply` creates what is missing; `diff` tells where a server differs. Existing streams are never changed at
start-up: that is an operator's decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from panoreel.contracts import events, subjects
from panoreel.contracts.events import Event
from panoreel.contracts.identifiers import Priority
from panoreel.eventlog.connection import REQUEST_TIMEOUT_S, connected

DAY_S: Final = 86_400

TASKS: Final = "TASKS"
SEGMENTS: Final = "SEGMENTS"
OUTPUTS: Final = "OUTPUTS"
TIMERS: Final = "TIMERS"
DEAD: Final = "DEAD"
LEASES: Final = "leases"
SECRETS: Final = "secrets"
DEPLOYMENT: Final = "deployment"

LEASE_TTL_S: Final = 6.0
"""How long a recorder may stay silent before its lease runs out."""

ACK_WAIT_S: Final = 30.0
"""How long a delivery may go without a sign of life before it is delivered again."""

MAX_DELIVERIES: Final = 8
"""How often a reaction is tried before it is given up."""

SPARE_DELIVERIES: Final = 8
"""How often giving up is tried, when that fails or the attempts took the process with them."""

TIMER_MAX_AGE_S: Final = 7 * DAY_S
"""How far ahead a timer may be set, and how long a due one waits for somebody to hear of it."""


@dataclass(frozen=True, slots=True)
class DurableConsumer:
    """A named position in a stream, shared by the replicas of one service for one purpose.

    `max_deliver` is how often an event is tried, -1 for ever; `ack_wait_s` how long one try may be silent.
    A replica handles up to `lanes` of them at once.
    """

    name: str
    filters: tuple[str, ...]
    max_deliver: int = MAX_DELIVERIES
    ack_wait_s: float = ACK_WAIT_S
    stream: str = TASKS
    lanes: int = 1

    def config(self) -> ConsumerConfig:
        """The consumer as the server wants it."""
        return ConsumerConfig(
            name=self.name,
            durable_name=self.name,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait_s,
            max_deliver=-1 if self.max_deliver < 0 else self.max_deliver + SPARE_DELIVERIES,
            filter_subjects=list(self.filters),
        )


def _reaction(name: str, *to: type[Event]) -> DurableConsumer:
    return DurableConsumer(name, tuple(subjects.any_task(event) for event in to))


# The transcoder itself decides when media has been out of reach for too long. In several lanes: a recording
# of which much is left to do must not keep others waiting.
TRANSCODER: Final = DurableConsumer(
    "transcoder-package", (subjects.any_task(events.RecordingStopped),), max_deliver=-1, lanes=4
)
CLIPS: Final = DurableConsumer(
    "transcoder-clip", (subjects.any_task(events.ClipCreated),), max_deliver=-1, lanes=2
)
# Work ahead of Stop is never given up: what it could not do is left to what follows Stop.
PACKAGING: Final = DurableConsumer(
    "transcoder-segments", (subjects.ANY_SEGMENT,), max_deliver=-1, stream=SEGMENTS
)
# In several lanes: a slow store must not keep others' results waiting.
SHIPPING: Final = DurableConsumer(
    "uploader-pieces", (subjects.ANY_PACKAGED,), max_deliver=-1, stream=OUTPUTS, lanes=8
)
# The uploader itself decides when a store has been away for too long.
UPLOADER: Final = DurableConsumer(
    "uploader-ship", (subjects.any_task(events.OutputsPackaged),), max_deliver=-1, lanes=8
)
LIVE_ENDS: Final = _reaction("uploader-live", events.PackagingFailed)
NOTIFIER: Final = _reaction(
    "notifier-tell",
    events.OutputsUploaded,
    events.RecordingFailed,
    events.PackagingFailed,
    events.UploadFailed,
)
# A waiting task may be offered for as long as no recorder has room: it is never dead. What broke off comes
# first: its page plays on, and nobody records it.
CLAIMS: Final = (
    DurableConsumer("recorder-resume", (subjects.any_task(events.RecorderLost),), max_deliver=-1),
    *(
        DurableConsumer(f"recorder-claim-{priority}", (f"task.*.task_created.{priority}",), max_deliver=-1)
        for priority in Priority
    ),
)
DURATION_LIMIT: Final = "duration_limit"
"""The name of the timers that end recordings."""

QUEUE_TIMEOUT: Final = "queue_timeout"
"""The name of the timers that end tasks which no recorder has taken."""

LIMITS: Final = _reaction("dispatch-timers", events.RecordingStarted)
QUEUE_TIMEOUTS: Final = _reaction("dispatch-queue-timers", events.TaskCreated)
# A limit holds however long it takes to carry it out.
DUE_LIMITS: Final = DurableConsumer(
    "dispatch-limits", (subjects.any_due_timer(DURATION_LIMIT),), max_deliver=-1, stream=TIMERS
)
DUE_QUEUE_TIMEOUTS: Final = DurableConsumer(
    "dispatch-queue-timeouts", (subjects.any_due_timer(QUEUE_TIMEOUT),), max_deliver=-1, stream=TIMERS
)
CONSUMERS: Final = (
    *CLAIMS,
    TRANSCODER,
    CLIPS,
    PACKAGING,
    SHIPPING,
    UPLOADER,
    LIVE_ENDS,
    NOTIFIER,
    LIMITS,
    QUEUE_TIMEOUTS,
    DUE_LIMITS,
    DUE_QUEUE_TIMEOUTS,
)

STREAMS: Final = (
    StreamConfig(
        name=TASKS,
        description="Every transition of every task",
        subjects=[subjects.ANY_TASK_EVENT],
        max_age=30 * DAY_S,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        duplicate_window=600,
        deny_delete=True,
        deny_purge=True,
        allow_direct=True,
        allow_atomic=True,
    ),
    StreamConfig(
        name=SEGMENTS,
        description="One message per sealed piece of media",
        subjects=[subjects.ANY_SEGMENT],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        duplicate_window=600,
        allow_direct=True,
    ),
    StreamConfig(
        name=OUTPUTS,
        description="What is packaged and what is shipped, piece by piece",
        subjects=[subjects.ANY_OUTPUT],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        duplicate_window=600,
        allow_direct=True,
    ),
    # The server refuses to schedule messages where it discards new ones.
    StreamConfig(
        name=TIMERS,
        description="What is to happen later, and what is due",
        subjects=[subjects.ANY_TIMER],
        max_age=TIMER_MAX_AGE_S,
        storage=StorageType.FILE,
        duplicate_window=120,
        allow_msg_schedules=True,
    ),
    StreamConfig(
        name=DEAD,
        description="Advisories of events that a service could not handle",
        subjects=[
            f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{TASKS}.*",
            f"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{TASKS}.*",
        ],
        max_age=90 * DAY_S,
        storage=StorageType.FILE,
        duplicate_window=120,
    ),
)

# Without direct reads: a replica that lags would have a new task's secrets missing.
BUCKETS: Final = (
    KeyValueConfig(
        bucket=LEASES,
        description="Who records which task",
        ttl=LEASE_TTL_S,
        limit_marker_ttl=300,
        storage=StorageType.FILE,
    ),
    KeyValueConfig(
        bucket=SECRETS,
        description="Sealed parameters of unfinished tasks",
        storage=StorageType.FILE,
    ),
    KeyValueConfig(
        bucket=DEPLOYMENT,
        description="What all services must have in common",
        storage=StorageType.FILE,
    ),
)


async def apply(nats_url: str, *, replicas: int = 1) -> None:
    """Create every stream, consumer and bucket that is not there; bring consumers up to date."""
    async with connected(nats_url, "panoreel-topology") as client:
        js = client.jetstream(timeout=REQUEST_TIMEOUT_S)
        for stream in STREAMS:
            if await _stream_config(js, stream.name) is None:
                await js.add_stream(replace(stream, num_replicas=replicas))
        for bucket in BUCKETS:
            if await _stream_config(js, f"KV_{bucket.bucket}") is None:
                await js.create_key_value(replace(bucket, replicas=replicas))
        for consumer in CONSUMERS:
            # Binding to a durable consumer ignores what the binder asks for, so it is kept up to date here.
            await js.add_consumer(consumer.stream, consumer.config())


async def diff(client: Client) -> list[str]:
    """One line for each setting of the server that is not as declared here; empty when all is well."""
    js = client.jetstream(timeout=REQUEST_TIMEOUT_S)
    drift: list[str] = []
    for stream in STREAMS:
        found = await _stream_config(js, stream.name)
        drift += _drift(f"stream {stream.name}", stream, found)
    for bucket in BUCKETS:
        found = await _stream_config(js, f"KV_{bucket.bucket}")
        wanted = StreamConfig(max_age=bucket.ttl, storage=bucket.storage)
        drift += _drift(f"bucket {bucket.bucket}", wanted, found)
    for consumer in CONSUMERS:
        try:
            actual = (await js.consumer_info(consumer.stream, consumer.name)).config
        except NotFoundError:
            actual = None
        drift += _drift(f"consumer {consumer.name}", consumer.config(), actual)
    return drift


async def _stream_config(js: JetStreamContext, name: str | None) -> StreamConfig | None:
    try:
        return (await js.stream_info(name or "")).config
    except NotFoundError:
        return None


def _drift(
    what: str, wanted: StreamConfig | ConsumerConfig, found: StreamConfig | ConsumerConfig | None
) -> Iterator[str]:
    if found is None:
        yield f"{what} is missing"
        return
    unset = type(wanted)()
    for name, value in vars(wanted).items():
        actual = getattr(found, name)
        if value != getattr(unset, name) and value != actual:
            yield f"{what}: {name} should be {value!r} but is {actual!r}"
