"""The recording's manifest: sealed segments, announced exactly once."""

import asyncio
from contextlib import aclosing

from panoreel.contracts import subjects
from panoreel.contracts.media import Segment
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.facts import publish_once
from panoreel.eventlog.log import PATIENCE_S, EventLog
from panoreel.eventlog.reading import scan, sequence
from panoreel.eventlog.topology import SEGMENTS


async def announce(log: EventLog, segment: Segment) -> None:
    """Tell where a sealed segment rests. Telling it again changes nothing.

    Raises:
        LogUnavailable: JetStream did not answer; announce it again.
    """
    subject = subjects.of_segment(segment.task_id, segment.epoch, segment.index)
    await publish_once(log.js, SEGMENTS, subject, segment)


class Manifest:
    """A task's segments in the order of their announcements, which never changes: it only gets longer."""

    def __init__(self, log: EventLog, task_id: str) -> None:
        self._log = log
        self._task_id = task_id
        self._read_up_to = 0
        self.segments: list[Segment] = []

    async def refresh(self) -> list[Segment]:
        """The segments that were announced so far. Only what is new is read.

        Raises:
            LogUnavailable: JetStream did not answer.
        """
        subject = subjects.of_task_segments(self._task_id)
        found = scan(self._log.js, SEGMENTS, subject, self._read_up_to)
        try:
            async with asyncio.timeout(PATIENCE_S), aclosing(found) as batches:
                async for batch in batches:
                    for message in batch:
                        segment = Segment.model_validate_json(message.data, extra="ignore")
                        self.segments.append(segment)
                        self._read_up_to = sequence(message)
        except TimeoutError as error:
            raise LogUnavailable("JetStream does not answer") from error
        return self.segments


async def manifest(log: EventLog, task_id: str) -> list[Segment]:
    """All segments of a task that were announced so far, by epoch and index.

    Raises:
        LogUnavailable: JetStream did not answer.
    """
    segments = await Manifest(log, task_id).refresh()
    return sorted(segments, key=lambda segment: (segment.epoch, segment.index))
