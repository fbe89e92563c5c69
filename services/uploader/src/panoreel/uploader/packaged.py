"""What the transcoder has packaged, as the uploader finds it.

Where that rests, unlike where it goes, even a refusal is for the operator to mend.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from panoreel.blobs.errors import BlobNotFound
from panoreel.blobs.store import Blobs
from panoreel.eventlog.errors import Permanent, Transient


class Absent(Transient):
    """What should rest there does not, and may come back."""


async def read(blobs: Blobs, blob_key: str | None, digest: str | None) -> bytes:
    """A blob, whose SHA-256 is `digest`.

    Raises:
        Transient: it cannot be read now; `Absent` if it is not there.
        Permanent: it is damaged.
    """
    try:
        content = await asyncio.to_thread(blobs.read, blob_key or "")
    except BlobNotFound as error:
        raise Absent(str(error)) from error
    except OSError as error:
        raise Transient(str(error)) from error
    if (await asyncio.to_thread(sha256, content)).hexdigest() != digest:
        message = f"the packaged file {blob_key} is damaged: its SHA-256 is not the one it was sealed with"
        raise Permanent("InternalError", message)
    return content


@contextmanager
def fetched(blobs: Blobs, blob_key: str | None) -> Iterator[Path]:
    """A blob of any length as a file; raises `Transient` as `read` does. Blocks."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(blobs.fetch(blob_key or ""))
        except (OSError, BlobNotFound) as error:
            raise Transient(str(error)) from error
        yield file
