"""Leaving for another page, or the same one again, only when there is something to be shown."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from playwright.async_api import Error, Page


@asynccontextmanager
async def refused_navigations(page: Page) -> AsyncIterator[list[int | str]]:
    """While entered, the page stays as it is when the one that is to follow answers an error, or not at all.

    Yields a list that comes to hold why: an HTTP status, or Chromium's name of a network error.
    """
    refusals: list[int | str] = []
    running: set[asyncio.Future[Any]] = set()
    session = await page.context.new_cdp_session(page)
    main_frame = (await session.send("Page.getFrameTree"))["frameTree"]["frame"]["id"]

    def forget(done: asyncio.Future[Any]) -> None:
        running.discard(done)
        done.cancelled() or done.exception()  # a request that was given up meanwhile

    def judge(paused: dict[str, Any]) -> None:
        method, parameters = "Fetch.continueRequest", {"requestId": paused["requestId"]}
        refusal = _refusal(paused)
        if refusal is not None and paused["frameId"] == main_frame:
            refusals.append(refusal)
            # An error page would take the place of what is shown, for any error but this.
            method, parameters = "Fetch.failRequest", parameters | {"errorReason": "Aborted"}
        future = asyncio.ensure_future(session.send(method, parameters))
        running.add(future)
        future.add_done_callback(forget)

    session.on("Fetch.requestPaused", judge)
    patterns = [{"urlPattern": "*", "resourceType": "Document", "requestStage": "Response"}]
    await session.send("Fetch.enable", {"patterns": patterns})
    try:
        yield refusals
    except BaseException:
        with suppress(Error):  # the browser has ended
            await session.send("Page.stopLoading")
        raise
    finally:
        await asyncio.gather(*running, return_exceptions=True)
        with suppress(Error):
            await session.detach()


def _refusal(paused: dict[str, Any]) -> int | str | None:
    if reason := paused.get("responseErrorReason"):
        # CDP says ConnectionRefused where Chromium elsewhere says ERR_CONNECTION_REFUSED.
        return "net::ERR" + re.sub(r"([A-Z])", r"_\1", reason).upper()
    status: int = paused.get("responseStatusCode", 200)
    return status if status >= 400 else None
