"""What all shipping needs: a task's packaged pieces, what is known about them, and the store they go to."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from panoreel.blobs import s3
from panoreel.blobs.store import Blobs
from panoreel.contracts.events import Output
from panoreel.contracts.outputs import OutputKind, Piece
from panoreel.contracts.task import Task
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import OutputFacts
from panoreel.uploader import packaged
from panoreel.uploader.names import Destination, Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PARALLEL: Final = 4
"""How many pieces of one output are sent at once; each is held in memory."""

KEPT: Final = 64
"""Of how many outputs the facts are kept in memory."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Page:
    facts: OutputFacts
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Ledger:
    """The facts about the outputs that were worked on last; of a long recording only what is new is read."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._pages: OrderedDict[tuple[str, OutputKind], _Page] = OrderedDict()
        self._sending: WeakValueDictionary[tuple[str, OutputKind, int], asyncio.Lock] = WeakValueDictionary()
        self._publishing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def facts(self, task_id: str, output: OutputKind) -> OutputFacts:
        """All that is known now about an output; raises `LogUnavailable`."""
        key = (task_id, output)
        page = self._pages.setdefault(key, _Page(OutputFacts(self.log, task_id, output)))
        self._pages.move_to_end(key)
        if len(self._pages) > KEPT:
            self._pages.popitem(last=False)
        async with page.reading:
            await page.facts.refresh()
        return page.facts

    def sending(self, piece: Piece) -> asyncio.Lock:
        """Held by who sends a piece: a replica that closes does not send what it is already sending."""
        return self._sending.setdefault((piece.task_id, piece.output, piece.number), asyncio.Lock())

    def publishing(self, task_id: str) -> asyncio.Lock:
        """Held by who writes a task's live playlist: one that another writes meanwhile is not confirmed."""
        return self._publishing.setdefault(task_id, asyncio.Lock())


@dataclass(frozen=True, slots=True)
class Shipment:
    """A task's outputs on their way from `blobs` to their destination."""

    task: Task
    blobs: Blobs
    destination: Destination
    client: "S3Client"
    ledger: Ledger

    async def facts(self, output: OutputKind) -> OutputFacts:
        """All that is known now about an output; raises `LogUnavailable`."""
        return await self.ledger.facts(self.task.task_id, output)

    async def pieces(self, output: Output) -> list[Piece]:
        """The pieces of an output, in their order in it; raises `LogUnavailable`."""
        facts = await self.facts(output.kind)
        return [facts.pieces[number] for number in output.pieces]

    async def read(self, blob_key: str | None, digest: str | None) -> bytes:
        """A packaged blob, whose SHA-256 is `digest`; raises as `packaged.read`."""
        return await packaged.read(self.blobs, blob_key, digest)

    def fetched(self, blob_key: str | None) -> AbstractContextManager[Path]:
        """A packaged blob of any length as a file; raises as `packaged.fetched`. Blocks."""
        return packaged.fetched(self.blobs, blob_key)

    async def put(self, place: Place, content: bytes) -> str:
        """Make sure that an object is stored; its ETag. Raises `StoreError`."""
        return await asyncio.to_thread(s3.store_bytes, self.client, place, content)


async def at_once(work: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    """Do all of the work, `PARALLEL` at once; the first failure ends it and is raised."""
    lanes = asyncio.Semaphore(PARALLEL)

    async def one(item: Item) -> None:
        async with lanes:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(one(item))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
