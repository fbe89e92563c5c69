"""One blob store for all services: whoever starts with another one is told so at once."""

import asyncio
from pathlib import Path

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.errors import BlobsUnavailable
from panoreel.eventlog.deployment import agreed
from panoreel.eventlog.log import EventLog


async def open_shared(log: EventLog, root: Path) -> DirectoryBlobs:
    """The blob store in `root`, which is the one that the other services use.

    Raises:
        BlobsUnavailable: `root` cannot be used, or is another directory than the others'.
        LogUnavailable: what the others use is not known.
    """
    blobs = DirectoryBlobs(root)
    try:
        identity = await asyncio.to_thread(blobs.check)
    except BlobsUnavailable as error:
        raise BlobsUnavailable(f"PANOREEL_BLOBS_DIR: {error}") from None
    if await agreed(log, "blobs", identity) != identity:
        raise BlobsUnavailable(
            f"PANOREEL_BLOBS_DIR: {root} is not the directory that the other services use; mount that one"
        )
    return blobs
