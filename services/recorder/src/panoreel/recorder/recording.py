"""The story of one recording: a display and a sound card, a browser on them, a page, and what it shows."""

from __future__ import annotations  # what takes long to load is loaded while the programs start

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panoreel.contracts.media import SegmentMedia
from panoreel.recorder.privileges import ProgramUser
from panoreel.recorder.protocol import (
    LimitReached,
    RecordingOrder,
    Report,
    SegmentSealed,
    Started,
    Stopped,
)
from panoreel.recorder.studio import Studio

if TYPE_CHECKING:
    from panoreel.recorder.capture import Capture
    from panoreel.recorder.page import RecordedPage

Tell = Callable[[Report], None]
"""Takes a report for the service; called from several threads."""


async def record(order: RecordingOrder, stop: asyncio.Future[float], tell: Tell) -> None:
    """Record the page until the monotonic time that `stop` comes to hold, or the duration limit.

    Raises `CaptureError` when the recording cannot begin or go on; what was captured is sealed then.
    """
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(_open(order, stack, tell))
        await _first(opening, stop)
        if opening.done():
            studio, page, capture = opening.result()
            await _capture(studio, page, capture, stop, tell)
        else:
            opening.cancel()
            await asyncio.wait({opening})
            tell(Stopped(frames=0, duration_s=0))


async def _open(
    order: RecordingOrder, stack: AsyncExitStack, tell: Tell
) -> tuple[Studio, RecordedPage, Capture]:
    """Have the page on the screen, ready for its first picture; `stack` undoes what was begun."""
    loading = asyncio.create_task(asyncio.to_thread(_load))
    user = ProgramUser.choose(order.user)
    studio = await stack.enter_async_context(Studio(user, order.run.resolve(), order.encoder))
    await loading
    from panoreel.recorder.capture import Capture
    from panoreel.recorder.grabber import Grabber
    from panoreel.recorder.page import RecordedPage

    picture = order.encoder
    grabber = stack.enter_context(
        Grabber(studio.display.env, picture.width, picture.height, picture.fps, user.uid)
    )

    def sealed(path: Path, media: SegmentMedia) -> None:
        tell(SegmentSealed(path=path, media=media))

    capture = Capture(order, grabber, studio.sound, sealed)
    window = await studio.browser.open_window(
        studio.display, studio.sound, picture.width, picture.height, order.browser.user_agent
    )
    page = RecordedPage(window, order.record_url)
    await page.open(order.load_timeout_s)
    return studio, page, capture


async def _capture(
    studio: Studio, page: RecordedPage, capture: Capture, stop: asyncio.Future[float], tell: Tell
) -> None:
    """From the first picture to the sealed last segment."""
    capture.start()
    accident = asyncio.create_task(studio.ended())
    ended = asyncio.create_task(capture.ended())
    try:
        await _first(capture.started, accident, ended)
        if capture.started.done():
            tell(Started(wall_time=capture.started.result()))
            await page.begin()
        await _first(stop, accident, ended)
        if accident.done():
            accident.result()
    finally:
        ended.cancel()
        accident.cancel()
        await asyncio.gather(ended, accident, return_exceptions=True)
        length_s = await capture.finish(stop.result() if stop.done() else time.monotonic())
    if not stop.done():
        tell(LimitReached())
    tell(Stopped(frames=capture.frames, duration_s=length_s))


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _load() -> None:
    """Import what takes long, on a thread, while the programs start."""
    import panoreel.recorder.capture
    import panoreel.recorder.page
    import panoreel.recorder.window  # noqa: F401
