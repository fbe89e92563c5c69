"""Clip tasks in a real log: what becomes of them, and what their user is told."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import av
import pytest

from panoreel.blobs.errors import BlobsUnavailable
from panoreel.blobs.keys import segment_key, segments_prefix
from panoreel.blobs.shared import BlobStores
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause, StoredEvent
from panoreel.contracts.events import ClipCreated, ClipRange, ClipSource, Failure, StorageType, TaskCreated
from panoreel.contracts.identifiers import scoped
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.task import Phase, Task
from panoreel.eventlog.errors import Permanent
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import purge
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.segments import announce
from panoreel.transcoder.clip import Clips
from panoreel.transcoder.patience import AWAY
from panoreel.transcoder.worker import Transcoder
from services.transcoder.tests.decoded import numbers, pictures
from services.transcoder.tests.recordings import Recording

CAUSE = Cause("test")
SIZE = EncoderParameters(width=319, height=180)

Encode = Callable[..., list[Segment]]


@pytest.fixture(scope="module")
def media(encode: Encode) -> list[Segment]:
    """Five seconds at 30 pictures a second."""
    return encode(1, [3_000] * 150)


async def recorded(
    log: EventLog, stores: BlobStores, media: list[Segment], storage_type: StorageType = "cfs"
) -> str:
    """The id of a recording that still runs, and has announced `media`."""
    blobs = await stores.of(storage_type)
    task_id = scoped("application", uuid4().hex)
    created = TaskCreated(
        application="application",
        record_url="http://example.com/",
        secrets_key=task_id,
        encoder=SIZE,
        max_duration_s=60,
        storage_type=storage_type,
    )
    await log.execute(task_id, commands.Create(created), CAUSE)
    for segment in media:
        key = segment_key(task_id, segment.epoch, segment.index)
        await asyncio.to_thread(blobs.put, Path(segment.blob_key), key)
        await announce(log, segment.model_copy(update={"task_id": task_id, "blob_key": key}))
    return task_id


async def asked(
    log: EventLog, source: str, *ranges: tuple[float, float], storage_type: StorageType = "cfs"
) -> StoredEvent:
    """A clip of the recording `source` that was just asked for."""
    task_id = scoped("application", uuid4().hex)
    wanted = tuple(ClipRange(start_s=begin, end_s=end) for begin, end in ranges)
    created = ClipCreated(
        application="application",
        clip=ClipSource(task_id=source, ranges=wanted),
        record_url="http://example.com/",
        secrets_key=task_id,
        encoder=SIZE,
        storage_type=storage_type,
    )
    return (await log.execute(task_id, commands.CreateClip(created), CAUSE)).appended[0]


async def load(log: EventLog, event: StoredEvent) -> Task:
    task, _ = await log.load(event.task_id)
    assert task
    return task


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_a_clip_of_a_running_recording(
    log: EventLog, stores: BlobStores, media: list[Segment], storage_type: StorageType
) -> None:
    source = await recorded(log, stores, media, storage_type)
    event = await asked(log, source, (0.5, 1.5), (3.0, 3.5), storage_type=storage_type)
    clips = Clips(log, stores)
    await clips.cut(event)
    task = await load(log, event)
    [output] = task.outputs
    assert (task.phase, output.kind, output.pieces) == (Phase.UPLOAD, "mp4", ())
    assert output.blob_key is not None
    with (await stores.of(storage_type)).fetch(output.blob_key) as file, av.open(str(file)) as container:
        assert file.stat().st_size == output.bytes
        assert sum(1 for _ in container.decode(video=0)) == output.frames == 45
    assert output.duration_s == pytest.approx(1.5, abs=1024 / 48_000)
    await clips.cut(event)
    assert await load(log, event) == task, "delivered again, without effect"


async def test_a_range_is_where_it_is_in_the_file(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode
) -> None:
    """A segment that could not be read was left out of the file."""
    recording = await Recording.begun(log, stores)
    media = encode(1, [3_000] * 450)
    told = await recording.announce(media)
    await recording.damage(told[1])
    await Transcoder(log, stores, secrets).close(await recording.stop(media[-1].index))
    assert len((await recording.task()).gaps) == 1
    event = await asked(log, recording.task_id, (3, 3.5))
    await Clips(log, stores).cut(event)
    [output] = (await load(log, event)).outputs
    assert output.blob_key is not None
    with (await stores.of("cfs")).fetch(output.blob_key) as file:
        shown = numbers(pictures(file))
    assert set(range(151, 164)) <= set(shown) <= set(range(149, 167)), "two seconds later than in the file"


async def removed(log: EventLog, stores: BlobStores, source: str) -> None:
    (await stores.of("cfs")).delete_prefix(segments_prefix(source))


async def forgotten(log: EventLog, stores: BlobStores, source: str) -> None:
    await purge(log, source)


async def damaged(log: EventLog, stores: BlobStores, source: str) -> None:
    blobs = await stores.of("cfs")
    with blobs.scratch() as file:
        file.write_bytes(blobs.read(segment_key(source, 1, 0)))
        blobs.put(file, segment_key(source, 1, 1))


async def untouched(log: EventLog, stores: BlobStores, source: str) -> None:
    """Nothing happens to it."""


@pytest.mark.parametrize(
    ("accident", "end_s", "code", "told"),
    [
        (removed, 4, "MediaExpired", "the media of task {} was removed"),
        (forgotten, 4, "MediaExpired", "the media of task {} was removed"),
        (damaged, 4, "InternalError", "segment 1 of epoch 1 is damaged"),
        (untouched, 5.1, "InvalidRange", "Ranges[0].End is 5.1, and only 5.013 s are recorded"),
    ],
)
async def test_what_cannot_be_cut_is_told(
    log: EventLog,
    stores: BlobStores,
    media: list[Segment],
    accident: Callable[[EventLog, BlobStores, str], Awaitable[None]],
    end_s: float,
    code: str,
    told: str,
) -> None:
    source = await recorded(log, stores, media)
    event = await asked(log, source, (0.5, end_s))
    await accident(log, stores, source)
    clips = Clips(log, stores)
    with pytest.raises(Permanent) as caught:
        await clips.cut(event)
    await clips.give_up(event, Failure(code=caught.value.code, message=str(caught.value)))
    task = await load(log, event)
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.code == code
    public_id = source.removeprefix(scoped("application", ""))
    assert task.failure.message.startswith(f"the clip could not be cut: {told.format(public_id)}")


async def test_a_clip_waits_for_a_store_that_is_away(
    log: EventLog, stores: BlobStores, media: list[Segment], tmp_path: Path
) -> None:
    event = await asked(log, await recorded(log, stores, media), (0.5, 1.5))
    clips = Clips(log, stores)
    mounted = (tmp_path / "blobs").rename(tmp_path / "mounted")
    (tmp_path / "blobs").mkdir()
    with pytest.raises(BlobsUnavailable):
        await clips.cut(event)
    past = replace(event, envelope=replace(event.envelope, time=event.envelope.time - AWAY))
    with pytest.raises(Permanent, match="tried for 1440 minutes"):
        await clips.cut(past)
    shutil.rmtree(tmp_path / "blobs")
    mounted.rename(tmp_path / "blobs")
    await clips.cut(event)
    assert (await load(log, event)).phase == Phase.UPLOAD


async def test_a_storage_that_this_service_lacks_is_told(
    log: EventLog, stores: BlobStores, media: list[Segment]
) -> None:
    event = await asked(log, await recorded(log, stores, media[:1]), (0.5, 1))
    with pytest.raises(Permanent, match="StorageType cfs is not configured here"):
        await Clips(log, BlobStores(log, {})).cut(event)
