"""For how long what fails is tried again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from panoreel.blobs.errors import BlobsError
from panoreel.contracts.commands import Rejected
from panoreel.eventlog.errors import LogUnavailable, Permanent
from panoreel.transcoder.errors import PackagingError

AWAY: Final = timedelta(hours=24)
"""How long a blob store may be away."""

UNFORESEEN: Final = timedelta(minutes=5)
"""How long anything else may go wrong."""


@contextmanager
def tried_until_late(age: timedelta) -> Iterator[None]:
    """What is done within fails for good when it cannot be done, or could not be for too long.

    `age` is for how long it has been tried. Raises `Permanent` then, and otherwise whatever went wrong.
    """
    try:
        yield
    except PackagingError as error:
        raise Permanent("InternalError", str(error)) from error
    except (Permanent, Rejected):
        raise
    except Exception as error:  # whatever it was, it is tried again until it is too late
        patience = AWAY if isinstance(error, OSError | BlobsError | LogUnavailable) else UNFORESEEN
        if age < patience:
            raise
        minutes = patience / timedelta(minutes=1)
        raise Permanent("InternalError", f"{error}; tried for {minutes:g} minutes") from error
