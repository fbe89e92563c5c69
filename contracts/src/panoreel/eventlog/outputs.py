"""What is packaged and what is shipped, piece by piece: what lets any replica go on where another died."""

import asyncio
from contextlib import aclosing

import nats.errors

from panoreel.contracts import subjects
from panoreel.contracts.media import Segment
from panoreel.contracts.outputs import CommitBegun, Committed, OutputKind, Piece, Shipped, UploadBegun
from panoreel.contracts.task import Task
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.facts import publish_newest, publish_once
from panoreel.eventlog.log import PATIENCE_S, EventLog
from panoreel.eventlog.reading import scan, sequence
from panoreel.eventlog.segments import manifest
from panoreel.eventlog.topology import OUTPUTS, SEGMENTS

Fact = Piece | Shipped | UploadBegun | CommitBegun | Committed

_MODELS: dict[str, type[Fact]] = {
    "packaged": Piece,
    "shipped": Shipped,
    "begun": UploadBegun,
    "committing": CommitBegun,
    "committed": Committed,
}


async def tell_once(log: EventLog, fact: Piece | UploadBegun | CommitBegun | Committed) -> bool:
    """Store a fact unless one of its kind and number is there; whether it is new.

    A piece that is packaged again is the same. Of two uploads that are begun at once, one is told, and
    whoever began the other removes it.

    Raises:
        LogUnavailable: JetStream did not answer; tell it again.
    """
    return await publish_once(log.js, OUTPUTS, subjects.of_output(fact), fact)


async def tell_shipped(log: EventLog, fact: Shipped) -> None:
    """Store where a piece is now, in place of where it was.

    Raises:
        LogUnavailable: JetStream did not answer; tell it again.
    """
    await publish_newest(log.js, OUTPUTS, subjects.of_output(fact), fact)


class OutputFacts:
    """What is known about one output of a task; it only gets more."""

    def __init__(self, log: EventLog, task_id: str, output: OutputKind) -> None:
        self._log = log
        self._subject = subjects.of_task_output(task_id, output)
        self._read_up_to = 0
        self.pieces: dict[int, Piece] = {}
        self.shipped: dict[int, Shipped] = {}
        self.upload: UploadBegun | None = None
        """The newest attempt."""
        self.commit: CommitBegun | None = None
        """The newest attempt."""
        self.committed: Committed | None = None

    async def refresh(self) -> None:
        """Read what is new.

        Raises:
            LogUnavailable: JetStream did not answer.
        """
        found = scan(self._log.js, OUTPUTS, self._subject, self._read_up_to)
        try:
            async with asyncio.timeout(PATIENCE_S), aclosing(found) as batches:
                async for batch in batches:
                    for message in batch:
                        model = _MODELS[message.subject.rsplit(".", 1)[1]]
                        self._add(model.model_validate_json(message.data, extra="ignore"))
                        self._read_up_to = sequence(message)
        except TimeoutError as error:
            raise LogUnavailable("JetStream does not answer") from error

    def _add(self, fact: Fact) -> None:
        match fact:
            case Piece():
                self.pieces[fact.number] = fact
            case Shipped():
                self.shipped[fact.number] = fact
            case UploadBegun():
                self.upload = fact
            case CommitBegun():
                self.commit = fact
            case Committed():
                self.committed = fact


async def media_in_file(log: EventLog, recording: Task) -> list[Segment]:
    """The segments that the recording's file consists of, by epoch and index; all of them, until it is made.

    A segment that could not be read when it was made is not in it. Empty when media was removed.

    Raises:
        LogUnavailable: JetStream did not answer.
    """
    segments = await manifest(log, recording.task_id)
    file = next((output for output in recording.outputs if output.kind in ("mp4", "hls")), None)
    if file is None or not segments:
        return segments
    facts = OutputFacts(log, recording.task_id, file.kind)
    await facts.refresh()
    places = {
        place for number in file.pieces if number in facts.pieces for place in facts.pieces[number].segments
    }
    return [segment for segment in segments if (segment.epoch, segment.index) in places]


async def purge(log: EventLog, task_id: str) -> None:
    """Forget all segments and pieces of a task, whose media is gone.

    Raises:
        LogUnavailable: JetStream did not answer.
    """
    try:
        await log.js.purge_stream(SEGMENTS, subject=subjects.of_task_segments(task_id))
        await log.js.purge_stream(OUTPUTS, subject=subjects.of_task_outputs(task_id))
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("JetStream does not answer") from error


async def tasks_with_media(log: EventLog) -> list[str]:
    """The ids of all tasks that have segments or pieces.

    Only the first one of each recorder and output is asked for: the server names 100 000 subjects, and is
    silent about the others.

    Raises:
        LogUnavailable: JetStream did not answer.
    """
    found: set[str] = set()
    try:
        for stream, subject in ((SEGMENTS, subjects.ANY_FIRST_SEGMENT), (OUTPUTS, subjects.ANY_FIRST_OUTPUT)):
            info = await log.js.stream_info(stream, subjects_filter=subject)
            found |= {subjects.task_id_of(name) for name in info.state.subjects or {}}
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("JetStream does not answer") from error
    return sorted(found)
