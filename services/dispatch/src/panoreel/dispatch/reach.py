"""Refusing a URL that leads where no caller may send us, before a task exists.

This is for the caller's sake: whoever connects checks again, and connects to the address that was checked.
"""

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from panoreel.dispatch.parameters.errors import InvalidParam
from panoreel.reach.addresses import Networks
from panoreel.reach.resolution import HostNotFound, NotAllowed, Resolve, look_up, reachable

LOOK_UP_TIMEOUT_S: Final = 1.0


async def check_reach(field: str, url: str, allowed: Networks, resolve: Resolve = look_up) -> None:
    """Refuse an http or https URL whose host has neither a public address nor one in `allowed`.

    A host that is not found, or not in time, is let through: the recorder tells what becomes of it.

    Raises:
        InvalidParam: naming `field`; the URL is not repeated.
    """
    host = urlsplit(url).hostname or ""
    try:
        with suppress(TimeoutError, HostNotFound):
            async with asyncio.timeout(LOOK_UP_TIMEOUT_S):
                await reachable(host, allowed, resolve)
    except NotAllowed:
        raise InvalidParam(
            f"{field} must lead to a public address; PANOREEL_ALLOWED_NETWORKS may allow others"
        ) from None
    except ValueError:
        raise InvalidParam(f"{field} must have a valid host such as example.com") from None
