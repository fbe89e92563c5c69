"""The recording's manifest: sealed segments, announced exactly once."""

import asyncio
from contextlib import aclosing

import nats.errors
from nats.js.errors import BadRequestError

from panoreel.contracts import subjects
from panoreel.contracts.media import Segment
from panoreel.eventlog.connection import REQUEST_TIMEOUT_S
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import PATIENCE_S, WRONG_LAST_SEQUENCE, EventLog
from panoreel.eventlog.reading import scan
from panoreel.eventlog.topology import SEGMENTS


async def announce(log: EventLog, segment: Segment) -> None:
    """Tell where a sealed segment rests. Telling it again changes nothing.

    Raises:
        LogUnavailable: JetStream did not answer; announce it again.
    """
    try:
        await log.js.publish(
            subjects.of_segment(segment.task_id, segment.epoch, segment.index),
            segment.model_dump_json().encode(),
            timeout=REQUEST_TIMEOUT_S,
            stream=SEGMENTS,
            headers={"Nats-Expected-Last-Subject-Sequence": "0"},
        )
    except BadRequestError as error:
        if error.err_code != WRONG_LAST_SEQUENCE:
            raise LogUnavailable(f"JetStream refused a segment: {error.description}") from error
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("JetStream does not acknowledge segments") from error


async def manifest(log: EventLog, task_id: str) -> list[Segment]:
    """All segments of a task that were announced so far, by epoch and index.

    Raises:
        LogUnavailable: JetStream did not answer.
    """
    segments: list[Segment] = []
    found = scan(log.js, SEGMENTS, subjects.of_task_segments(task_id))
    try:
        async with asyncio.timeout(PATIENCE_S), aclosing(found) as batches:
            async for batch in batches:
                segments += [Segment.model_validate_json(message.data, extra="ignore") for message in batch]
    except TimeoutError as error:
        raise LogUnavailable("JetStream does not answer") from error
    return sorted(segments, key=lambda segment: (segment.epoch, segment.index))
