"""Recordings in a real log, with real segments in a real blob store, packaged ahead of Stop and then."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from panoreel.blobs.errors import BlobNotFound, BlobsUnavailable
from panoreel.blobs.keys import segments_prefix
from panoreel.blobs.shared import BlobStores
from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import (
    Failure,
    HlsEncryption,
    OutputRequest,
    StorageType,
)
from panoreel.contracts.media import Segment
from panoreel.contracts.task import Phase
from panoreel.eventlog.errors import Permanent, Transient
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.outputs import OutputFacts
from panoreel.eventlog.secrets import SecretStore, TaskSecrets
from panoreel.transcoder.patience import AWAY
from panoreel.transcoder.worker import LATE, Transcoder
from services.transcoder.tests.recordings import Recording, digests

SECOND = 90_000
STEPS = [3000] * 450
"""Fifteen seconds at 30 pictures a second: eight segments, of which three or four make a piece of HLS."""

KEY = bytes(range(16))
ENCRYPTED = OutputRequest(
    muxers=("hls",), encryption=HlsEncryption(auth_url="http://127.0.0.1/key", iv="0f" * 16)
)

Encode = Callable[..., list[Segment]]


def pictures(content: dict[int, bytes]) -> int:
    """How many there are in an MP4 or in HLS, decoded."""
    file = io.BytesIO(b"".join(content[number] for number in sorted(content)))
    with av.open(file, "r") as container:
        return len(list(container.decode(video=0)))


def minutes_later(event: StoredEvent) -> StoredEvent:
    """The same event, as if it had happened when segments can no longer be on their way."""
    past = datetime.now(UTC) - LATE - timedelta(seconds=1)
    return replace(event, envelope=replace(event.envelope, time=past))


@pytest.mark.parametrize("storage_type", ["cfs", "cos"])
async def test_whoever_packages_makes_the_same(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode, storage_type: StorageType
) -> None:
    """All at the close; or piece by piece by one replica, that dies, after which another goes on."""
    media = encode(1, STEPS)
    at_close = await Recording.begun(log, stores, storage_type=storage_type)
    await at_close.announce(media)
    event = await at_close.stop(media[-1].index)
    transcoder = Transcoder(log, stores, secrets)
    await transcoder.close(event)
    whole = await at_close.contents()

    ahead = await Recording.begun(log, stores, storage_type=storage_type)
    for segment in await ahead.announce(media[:-1]):
        await transcoder.follow(segment)
        await Transcoder(log, stores, secrets).follow(segment)
    facts = OutputFacts(log, ahead.task_id, "hls")
    await facts.refresh()
    assert sorted(facts.pieces) == [0, 1], "before Stop"
    await ahead.announce(media[-1:])
    event = await ahead.stop(media[-1].index)
    await Transcoder(log, stores, secrets).close(event)
    assert digests(await ahead.contents()) == digests(whole)

    task = await ahead.task()
    assert task.phase == Phase.UPLOAD
    assert [output.kind for output in task.outputs] == ["mp4", "hls", "sprites", "poster"]
    mp4, hls, sprites, poster = task.outputs
    assert pictures(whole["mp4"]) == pictures(whole["hls"]) == mp4.frames == hls.frames == 450
    assert mp4.duration_s == hls.duration_s == pytest.approx(15, abs=0.03)
    assert len(hls.pieces) == 3
    assert (sprites.frames, poster.frames) == (8, 1)
    assert whole["sprites"][-1].startswith(b"WEBVTT")
    assert whole["poster"][-1].startswith(b"\xff\xd8")
    await transcoder.close(event)
    assert await ahead.task() == task, "delivered again, without effect"


async def test_no_media_is_no_failure(log: EventLog, stores: BlobStores, secrets: SecretStore) -> None:
    recording = await Recording.begun(log, stores)
    await Transcoder(log, stores, secrets).close(await recording.stop(None))
    task = await recording.task()
    assert (task.phase, task.outputs, task.failure) == (Phase.UPLOAD, (), None)


async def test_segments_on_their_way_are_waited_for_and_then_taken_for_lost(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode
) -> None:
    media = encode(1, STEPS)
    recording = await Recording.begun(log, stores)
    await recording.announce(media[:-1])
    event = await recording.stop(media[-1].index)
    transcoder = Transcoder(log, stores, secrets)
    with pytest.raises(Transient, match="1 segments are not announced yet"):
        await transcoder.close(event)
    await transcoder.close(minutes_later(event))
    mp4, hls, *_ = (await recording.task()).outputs
    assert mp4.duration_s == hls.duration_s == pytest.approx(media[-1].first_pts / SECOND, abs=0.03)


@pytest.mark.parametrize("ahead", [True, False])
async def test_damaged_segments_are_left_out_and_told(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode, ahead: bool
) -> None:
    media = encode(1, STEPS)
    recording = await Recording.begun(log, stores)
    announced = await recording.announce(media)
    for segment in (media[1], media[-1]):
        await recording.damage(segment)
    transcoder = Transcoder(log, stores, secrets)
    for segment in announced if ahead else []:
        await transcoder.follow(segment)
    await transcoder.close(await recording.stop(media[-1].index))
    task = await recording.task()
    kept = [segment for segment in media if segment not in (media[1], media[-1])]
    contents = await recording.contents()
    assert pictures(contents["mp4"]) == sum(segment.frames for segment in kept)
    assert {output.frames for output in task.outputs[:2]} == {sum(segment.frames for segment in kept)}
    lost_s = [(segment.end_pts - segment.first_pts) / SECOND for segment in (media[1], media[-1])]
    assert [gap.lost_s for gap in task.gaps] == pytest.approx(lost_s)
    places = [media[0].end_sample, sum(segment.end_sample - segment.first_sample for segment in kept)]
    assert [gap.output_s for gap in task.gaps] == [sample / 48_000 for sample in places]


async def test_when_all_is_damaged_that_is_told_and_the_media_kept(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode
) -> None:
    (segment, *_) = encode(1, STEPS)
    recording = await Recording.begun(log, stores)
    (announced,) = await recording.announce([segment])
    await recording.damage(segment)
    event = await recording.stop(0)
    transcoder = Transcoder(log, stores, secrets)
    with pytest.raises(Permanent, match="damaged or missing") as caught:
        await transcoder.close(event)
    await transcoder.give_up(event, Failure(code=caught.value.code, message=str(caught.value)))
    task = await recording.task()
    assert task.phase == Phase.CALLBACK
    assert task.failure
    assert task.failure.message.startswith("video transcode failed(")
    assert recording.blobs.read(announced.blob_key)


async def test_a_missing_segment_is_waited_for_and_then_left_out(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode
) -> None:
    """Its store may be away: the announcement came after it was stored."""
    media = encode(1, STEPS)
    recording = await Recording.begun(log, stores, storage_type="cos")
    announced = await recording.announce(media)
    recording.blobs.delete_prefix(f"{segments_prefix(recording.task_id)}1/")
    await recording.announce(media[:4])
    transcoder = Transcoder(log, stores, secrets)
    with pytest.raises(BlobNotFound):
        await transcoder.follow(announced[6])
    event = await recording.stop(media[-1].index)
    with pytest.raises(BlobNotFound):
        await transcoder.close(event)
    assert (await recording.task()).phase == Phase.TRANSCODE
    await transcoder.close(minutes_later(event))
    task = await recording.task()
    frames = sum(segment.frames for segment in media[:4])
    assert [output.frames for output in task.outputs[:2]] == [frames, frames]
    assert [gap.output_s for gap in task.gaps] == [media[3].end_sample / 48_000]


async def test_media_is_not_lost_while_its_store_is_away(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode, tmp_path: Path
) -> None:
    """A directory that is not mounted is empty, however long it lasts."""
    recording = await Recording.begun(log, stores)
    media = encode(1, STEPS)
    await recording.announce(media)
    event = minutes_later(await recording.stop(media[-1].index))
    transcoder = Transcoder(log, stores, secrets)
    mounted = (tmp_path / "blobs").rename(tmp_path / "mounted")
    (tmp_path / "blobs").mkdir()
    with pytest.raises(BlobsUnavailable, match="not the one that the other services use"):
        await transcoder.close(event)
    past = event.envelope.time - AWAY
    with pytest.raises(Permanent, match="tried for 1440 minutes"):
        await transcoder.close(replace(event, envelope=replace(event.envelope, time=past)))
    shutil.rmtree(tmp_path / "blobs")
    mounted.rename(tmp_path / "blobs")
    await transcoder.close(event)
    task = await recording.task()
    assert (task.outputs[0].frames, task.gaps) == (450, ())


async def test_what_another_recorder_had_taken_over_is_not_shown(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode
) -> None:
    """The first recorder went on for a while; its segments come late, as one run."""
    first, second = encode(1, STEPS), encode(2, [3000] * 60, number=150)
    taken_over = first[2].wall_time + timedelta(seconds=1)
    second = [segment.model_copy(update={"wall_time": taken_over}) for segment in second]
    recording = await Recording.begun(log, stores, OutputRequest(muxers=("hls", "mp4")))
    await recording.announce([*second, *first[1:5], first[0]])
    await Transcoder(log, stores, secrets).close(await recording.stop(None))
    hls, mp4 = (await recording.task()).outputs
    counted = [*first[:3], *second]
    assert hls.frames == mp4.frames == sum(segment.frames for segment in counted)
    facts = OutputFacts(log, recording.task_id, "hls")
    await facts.refresh()
    shown = [place for number in hls.pieces for place in facts.pieces[number].segments]
    assert shown == [(segment.epoch, segment.index) for segment in counted]


async def test_encrypted_hls(log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode) -> None:
    recording = await Recording.begun(log, stores, ENCRYPTED)
    await secrets.seal(recording.task_id, TaskSecrets(record_url="http://example.com/", hls_key=KEY.hex()))
    media = encode(1, STEPS)[:2]
    await recording.announce(media)
    event = await recording.stop(media[-1].index)
    with pytest.raises(Permanent, match="sealed"):
        await Transcoder(log, stores, SecretStore(log, [Fernet.generate_key().decode()])).close(event)
    await Transcoder(log, stores, secrets).close(event)
    (content,) = (await recording.contents())["hls"].values()
    decryptor = Cipher(algorithms.AES128(KEY), modes.CBC(bytes.fromhex("0f" * 16))).decryptor()
    assert (decryptor.update(content) + decryptor.finalize()).startswith(b"\x47")


async def test_a_storage_that_this_service_lacks_is_told(
    log: EventLog, stores: BlobStores, secrets: SecretStore, encode: Encode
) -> None:
    recording = await Recording.begun(log, stores, storage_type="cos")
    await recording.announce(encode(1, STEPS)[:1])
    with pytest.raises(Permanent, match="StorageType cos is not configured here"):
        await Transcoder(log, BlobStores(log, {}), secrets).close(await recording.stop(0))
