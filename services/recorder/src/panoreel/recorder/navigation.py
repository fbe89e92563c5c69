"""Leaving for another page, or the same one again, only when there is something to be shown.

A page may be so busy with itself that it never answers: nothing here waits for it without end.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from playwright.async_api import CDPSession, Error, Page

from panoreel.recorder.errors import PageRefused

HUNG_S: Final = 2.0
"""A page that does not answer for so long hangs."""

TIDY_UP_S: Final = 1.0


async def hangs(session: CDPSession) -> bool:
    """Whether the page of `session` is too busy to say anything."""
    try:
        async with asyncio.timeout(HUNG_S):
            await session.send("Runtime.evaluate", {"expression": "0"})
    except TimeoutError:
        return True
    return False


async def give_up(page: Page, session: CDPSession) -> None:
    """Put a blank page in the place of one that hangs; raises `PageRefused` if even that is impossible.

    `session` must be from before: to a page that hangs there is no new one.
    """
    script = "Emulation.setScriptExecutionDisabled"
    try:
        async with asyncio.timeout(HUNG_S):
            # These two interrupt what runs, and nothing else is run after it.
            await session.send(script, {"value": True})
            ending = asyncio.ensure_future(session.send("Runtime.terminateExecution"))
            try:
                await page.goto("about:blank", wait_until="commit")
            finally:
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)
    except (Error, TimeoutError):
        raise PageRefused("the page that is shown hangs, and cannot be left; stop the task") from None
    finally:
        await _briefly(session.send(script, {"value": False}))


@asynccontextmanager
async def interrupting(session: CDPSession) -> AsyncIterator[None]:
    """While entered, what keeps the page busy is ended: it may yet begin to hang when it is told to leave."""

    async def watch() -> None:
        while True:
            with suppress(Error):  # the page has left meanwhile
                if await hangs(session):
                    await session.send("Runtime.terminateExecution")
            await asyncio.sleep(TIDY_UP_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _briefly(tidying: Awaitable[Any]) -> None:
    with suppress(Error, TimeoutError):  # the browser has ended, or the page hangs
        async with asyncio.timeout(TIDY_UP_S):
            await tidying


@asynccontextmanager
async def refused_navigations(
    page: Page, arriving: Callable[[], Awaitable[None]], refusals: list[int | str]
) -> AsyncIterator[None]:
    """While entered, the page stays as it is when the one that is to follow answers an error, or not at all.

    `refusals` comes to hold why: an HTTP status, or Chromium's name of a network error. `arriving` is awaited
    before an answer that is none goes to the page.
    """
    running: set[asyncio.Future[Any]] = set()
    session = await page.context.new_cdp_session(page)
    main_frame = (await session.send("Page.getFrameTree"))["frameTree"]["frame"]["id"]

    def forget(done: asyncio.Future[Any]) -> None:
        running.discard(done)
        done.cancelled() or done.exception()  # a request that was given up meanwhile

    async def judge(paused: dict[str, Any]) -> None:
        method, parameters = "Fetch.continueRequest", {"requestId": paused["requestId"]}
        refusal = _refusal(paused)
        if paused["frameId"] == main_frame:
            if refusal is None:
                await arriving()
            else:
                refusals.append(refusal)
                # An error page would take the place of what is shown, for any error but this.
                method, parameters = "Fetch.failRequest", parameters | {"errorReason": "Aborted"}
        await session.send(method, parameters)

    def take(paused: dict[str, Any]) -> None:
        future = asyncio.ensure_future(judge(paused))
        running.add(future)
        future.add_done_callback(forget)

    session.on("Fetch.requestPaused", take)
    patterns = [{"urlPattern": "*", "resourceType": "Document", "requestStage": "Response"}]
    await session.send("Fetch.enable", {"patterns": patterns})
    try:
        yield
    except BaseException:
        await _briefly(session.send("Page.stopLoading"))
        raise
    finally:
        await _briefly(asyncio.gather(*running, return_exceptions=True))
        await _briefly(session.detach())


def _refusal(paused: dict[str, Any]) -> int | str | None:
    if reason := paused.get("responseErrorReason"):
        # CDP says ConnectionRefused where Chromium elsewhere says ERR_CONNECTION_REFUSED.
        return "net::ERR" + re.sub(r"([A-Z])", r"_\1", reason).upper()
    status: int = paused.get("responseStatusCode", 200)
    return status if status >= 400 else None
