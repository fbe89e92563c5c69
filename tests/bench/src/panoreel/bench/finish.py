"""From Stop to `finished`, by the events of a whole stack that is fed with ready-made media."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from panoreel.bench.errors import RecordingFailed
from panoreel.bench.feed import MINUTE_SAMPLES, Film, film
from panoreel.bench.stack import Stack, running_stack, times
from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.keys import segment_key
from panoreel.blobs.scratch import nameless_file
from panoreel.client import Output, StartRequest, VideoOutput
from panoreel.contracts import commands
from panoreel.contracts.envelope import Cause
from panoreel.contracts.identifiers import scoped
from panoreel.contracts.media import AUDIO_SAMPLE_RATE, EncoderParameters, Segment, SegmentMedia
from panoreel.contracts.outputs import Muxer
from panoreel.eventlog import topology
from panoreel.eventlog.log import EventLog, open_log
from panoreel.eventlog.segments import announce

CAUSE: Final = Cause(actor="bench")
MUXERS: Final[tuple[Muxer, ...]] = ("mp4", "hls")
PATIENCE_S: Final = 900.0
PAGE: Final = "http://127.0.0.1/"


def measure(minutes: Sequence[int], muxers: Sequence[Muxer], rounds: int) -> dict[str, Any]:
    """`{"rows": [{"recorded_s", "muxer", "finish_s", "bytes"}]}`: medians of so many rounds each."""
    with tempfile.TemporaryDirectory(prefix="panoreel-bench-") as directory:
        fed = film(Path(directory), EncoderParameters(width=1280, height=720))
    # What records here is the benchmark.
    with running_stack({"PANOREEL_WARM_RECORDINGS": "0"}) as stack, stack.recorder_held():
        rows = [
            asyncio.run(_row(stack, fed, length, muxer, rounds)) for length in minutes for muxer in muxers
        ]
    return {"rounds": rounds, "rows": rows}


async def _row(stack: Stack, fed: Film, minutes: int, muxer: Muxer, rounds: int) -> dict[str, Any]:
    async with open_log(stack.nats_url, "bench") as log:
        found = [await _finish(stack, log, list(fed.repeated(minutes)), muxer) for _ in range(rounds)]
    return {
        "recorded_s": round(minutes * MINUTE_SAMPLES / AUDIO_SAMPLE_RATE),
        "muxer": muxer,
        "finish_s": round(statistics.median(seconds for seconds, _ in found), 3),
        "bytes": found[0][1],
    }


async def _finish(
    stack: Stack, log: EventLog, media: list[tuple[SegmentMedia, bytes]], muxer: Muxer
) -> tuple[float, int]:
    """Record, and stop: seconds from `stop_requested` to the end, and the size of the result.

    All but the last segment are there, packaged and shipped, before Stop, as they are while recording.
    """
    request = StartRequest(record_url=PAGE, output=Output(video=VideoOutput(muxer=muxer)))
    task_id = await asyncio.to_thread(stack.client.start, request)
    application = (await asyncio.to_thread(stack.client.describe_detail, task_id)).application
    log_id = scoped(application or "", task_id)
    await log.execute(log_id, commands.Claim("bench"), CAUSE)
    await log.execute(log_id, commands.ReportStarted(1, datetime.now(UTC)), CAUSE)
    blobs = DirectoryBlobs(stack.directory / "blobs")
    for one in media[:-1]:
        await _seal(log, blobs, log_id, *one)
    await _caught_up(log)
    await asyncio.to_thread(stack.client.stop, task_id)
    await _seal(log, blobs, log_id, *media[-1])
    await log.execute(log_id, commands.ReportStopped(1, media[-1][0].index, 0), CAUSE)
    recording = await asyncio.to_thread(stack.client.wait, task_id, timeout_s=PATIENCE_S)
    if not recording.result.videos:
        raise RecordingFailed(recording.result.error_message or "there is no video")
    happened = await asyncio.to_thread(times, stack.client, task_id)
    return happened["callback_skipped"] - happened["stop_requested"], recording.result.videos[0].file_bytes


async def _seal(
    log: EventLog, blobs: DirectoryBlobs, task_id: str, media: SegmentMedia, content: bytes
) -> None:
    """Store and announce a segment as a recorder does."""
    key = segment_key(task_id, media.epoch, media.index)
    changed = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    described = media.model_dump() | changed

    def store() -> None:
        with nameless_file() as file:
            file.write_bytes(content)
            blobs.put(file, key)

    await asyncio.to_thread(store)
    await announce(log, Segment(task_id=task_id, blob_key=key, **described))


async def _caught_up(log: EventLog) -> None:
    """Wait until transcoder and uploader have done what can be done before Stop."""
    deadline = time.monotonic() + PATIENCE_S
    for consumer in (topology.PACKAGING, topology.SHIPPING):
        while True:
            info = await log.js.consumer_info(consumer.stream, consumer.name)
            if not info.num_pending and not info.num_ack_pending:
                break
            if time.monotonic() > deadline:
                raise RecordingFailed(f"{consumer.name} does not keep up")
            await asyncio.sleep(0.2)
