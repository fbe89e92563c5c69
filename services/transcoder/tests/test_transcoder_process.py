"""The transcoder as it is deployed, a process of its own, when it is killed."""

import asyncio
import json
import random
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from panoreel.blobs.shared import BlobStores
from panoreel.contracts.task import Phase
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.secrets import SecretStore
from panoreel.eventlog.topology import PACKAGING, TRANSCODER
from panoreel.transcoder.worker import Transcoder
from services.transcoder.tests.conftest import Encode
from services.transcoder.tests.recordings import Recording, digests
from tests.servers.nats import NatsServer
from tests.servers.service import running_service

PATIENCE_S = 120
STEPS = [3000] * 450


def service(nats_url: str, directory: Path) -> AbstractAsyncContextManager[object]:
    """A transcoder that is ready; it is killed in the end."""
    settings = {
        "PANOREEL_NATS_URL": nats_url,
        "PANOREEL_BLOBS_DIR": str(directory / "blobs"),
        "PANOREEL_SECRET_KEYS": json.dumps([Fernet.generate_key().decode()]),
    }
    return running_service("transcoder", settings, directory)


@pytest.mark.parametrize("recordings", [1, pytest.param(10, marks=pytest.mark.soak)])
async def test_killed_at_any_moment_it_makes_the_same(
    log: EventLog,
    stores: BlobStores,
    secrets: SecretStore,
    own_nats_server: NatsServer,
    tmp_path: Path,
    encode: Encode,
    recordings: int,
) -> None:
    """Each recording sees two kills while it runs and one after its end, when there are pieces to make."""
    for consumer in (PACKAGING, TRANSCODER):
        await log.js.add_consumer(consumer.stream, replace(consumer, ack_wait_s=2).config())
    media = encode(1, STEPS, preset="ultrafast", parameters={"crf": 12}, noise=True)
    undisturbed = await Recording.begun(log, stores)
    await undisturbed.announce(media)
    await Transcoder(log, stores, secrets).close(await undisturbed.stop(media[-1].index))
    expected = await undisturbed.contents()
    assert [len(expected[kind]) for kind in ("mp4", "hls")] == [4, 3]

    for _ in range(recordings):
        recording = await Recording.begun(log, stores)
        for told in (media[:3], media[3:7], media[7:]):
            await recording.announce(told)
            if told[-1] == media[-1]:
                await recording.stop(media[-1].index)
            async with service(own_nats_server.url, tmp_path):
                await asyncio.sleep(random.uniform(0, 1))
        async with service(own_nats_server.url, tmp_path), asyncio.timeout(PATIENCE_S):
            while (await recording.task()).phase < Phase.UPLOAD:
                await asyncio.sleep(0.1)
        assert digests(await recording.contents()) == digests(expected)
