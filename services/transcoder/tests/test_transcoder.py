"""Stopped recordings in a real log, with real segments in a real blob store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import av
import pytest

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.keys import segment_key
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import Failure, TaskCreated
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.segments import announce
from panoreel.transcoder.worker import LATE_SEGMENTS, Transcoder
from tests.servers.nats import NatsServer

CAUSE = Cause("test")
SECOND = 90_000
STEPS = [3000] * 150
"""Five seconds at 30 pictures a second: three segments."""

Encode = Callable[..., list[Segment]]


@pytest.fixture
async def log(nats_server: NatsServer) -> AsyncIterator[EventLog]:
    async with open_log(nats_server.url, "test") as opened:
        yield opened


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    (tmp_path / "blobs").mkdir()
    return DirectoryBlobs(tmp_path / "blobs")


async def stopped(
    log: EventLog, blobs: DirectoryBlobs, media: list[Segment], *, lost: int = 0
) -> StoredEvent:
    """A recording that has just stopped; of its segments the last `lost` were never announced."""
    task_id = f"task-{uuid4().hex}"
    created = TaskCreated(
        record_url="http://example.com/",
        secrets_key=task_id,
        encoder=EncoderParameters(width=319, height=180),
        max_duration_s=60,
    )
    await log.execute(task_id, commands.Create(created), CAUSE)
    await log.execute(task_id, commands.Claim("recorder"), CAUSE)
    await log.execute(task_id, commands.Stop("api"), CAUSE)
    for segment in media[: len(media) - lost]:
        key = segment_key(task_id, segment.epoch, segment.index)
        await asyncio.to_thread(blobs.put, Path(segment.blob_key), key)
        await announce(log, segment.model_copy(update={"task_id": task_id, "blob_key": key}))
    last_index = media[-1].index if media else None
    outcome = await log.execute(task_id, commands.ReportStopped(1, last_index, 150), CAUSE)
    return outcome.appended[0]


async def load(log: EventLog, event: StoredEvent) -> Task:
    task, _ = await log.load(event.task_id)
    assert task
    return task


def minutes_later(event: StoredEvent) -> StoredEvent:
    """The same event, as if it had happened when segments can no longer be on their way."""
    past = datetime.now(UTC) - LATE_SEGMENTS - timedelta(seconds=1)
    return replace(event, envelope=replace(event.envelope, time=past))


async def test_segments_become_one_file(log: EventLog, blobs: DirectoryBlobs, encode: Encode) -> None:
    event = await stopped(log, blobs, encode(1, STEPS))
    transcoder = Transcoder(log, blobs)
    await transcoder.package(event)
    task = await load(log, event)
    assert task.phase == Phase.UPLOAD
    [output] = task.outputs
    file = blobs.get(output.blob_key)
    assert file.stat().st_size == output.bytes
    with av.open(str(file)) as container:
        assert sum(1 for _ in container.decode(video=0)) == output.frames == 150
    assert output.duration_s == pytest.approx(5, abs=0.03)
    await transcoder.package(event)
    assert await load(log, event) == task, "delivered again, without effect"


async def test_no_media_is_no_failure(log: EventLog, blobs: DirectoryBlobs) -> None:
    event = await stopped(log, blobs, [])
    await Transcoder(log, blobs).package(event)
    task = await load(log, event)
    assert (task.phase, task.outputs, task.failure) == (Phase.UPLOAD, (), None)


async def test_segments_on_their_way_are_waited_for_and_then_taken_for_lost(
    log: EventLog, blobs: DirectoryBlobs, encode: Encode
) -> None:
    media = encode(1, STEPS)
    event = await stopped(log, blobs, media, lost=1)
    transcoder = Transcoder(log, blobs)
    with pytest.raises(Transient, match="1 segments are not announced yet"):
        await transcoder.package(event)
    await transcoder.package(minutes_later(event))
    [output] = (await load(log, event)).outputs
    assert output.duration_s == pytest.approx(media[-1].first_pts / SECOND, abs=0.03)


async def test_a_damaged_segment_is_told_and_the_media_kept(
    log: EventLog, blobs: DirectoryBlobs, encode: Encode
) -> None:
    event = await stopped(log, blobs, encode(1, STEPS))
    damaged = blobs.get(segment_key(event.task_id, 1, 1))
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    transcoder = Transcoder(log, blobs)
    with pytest.raises(Permanent) as caught:
        await transcoder.package(event)
    await transcoder.give_up(event, Failure(code=caught.value.code, message=str(caught.value)))
    task = await load(log, event)
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.message.startswith("video transcode failed(")
    assert damaged.exists()
