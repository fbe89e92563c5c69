"""Where a page is shown to be recorded: a studio whose browser has a window, ready for whatever page."""

from __future__ import annotations  # what takes long to load is loaded while the programs start

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from panoreel.recorder.animation import keep_in_time
from panoreel.recorder.controls import Controls
from panoreel.recorder.errors import Accident
from panoreel.recorder.page_functions import PageFunctions
from panoreel.recorder.privileges import ProgramUser
from panoreel.recorder.protocol import RecordingOrder, StageOrder
from panoreel.recorder.refresh import refresh_hz
from panoreel.recorder.studio import Studio

if TYPE_CHECKING:
    from playwright.async_api import Page

    from panoreel.recorder.grabber import Grabber
    from panoreel.recorder.page import RecordedPage
    from panoreel.recorder.sound import SoundServer


class Stage:
    """An async context manager: display, sound and a browser with an empty window, set up and taken down.

    Raises `CaptureError` on entry when something of it does not start.
    """

    def __init__(self, order: StageOrder, number: int = 1) -> None:
        """Of the stages of one recording, all but the first have a directory of their own below `run`."""
        self._order = order
        self.number = number
        self._run = order.run if number == 1 else order.run / str(number)
        self._window: Page | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        order = self._order
        async with AsyncExitStack() as stack:
            loading = asyncio.create_task(asyncio.to_thread(_load))
            user = ProgramUser.choose(order.user)
            self._run.mkdir(exist_ok=True)
            self._studio = await stack.enter_async_context(Studio(user, self._run, order))
            await loading
            from panoreel.recorder.grabber import Grabber

            size = (order.width, order.height)
            display, sound = self._studio.display, self._studio.sound
            with _blaming():
                self.grabber: Grabber = stack.enter_context(Grabber(display.env, *size, order.fps, user.uid))
                self._window = await self._studio.browser.open_window(display, sound, size, order.look)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await asyncio.to_thread(shutil.rmtree, self._run / "home", ignore_errors=True)

    def another(self) -> Stage:
        """A stage like this, not yet set."""
        return Stage(self._order, self.number + 1)

    @property
    def sound(self) -> SoundServer:
        """What is heard here."""
        return self._studio.sound

    async def prepare(
        self, order: RecordingOrder, controls: Controls, on_trouble: Callable[[Accident], None]
    ) -> RecordedPage:
        """The page in the browser's window, not yet opened; it tells `on_trouble` of what is no content.

        Raises `Accident` when the browser has ended meanwhile.
        """
        from panoreel.recorder.page import RecordedPage
        from panoreel.recorder.visitor import Visitor

        assert self._window is not None
        visitor = Visitor(self._window, order.browser)
        page = RecordedPage(self._window, visitor, order.record_url, self._studio.proxy, on_trouble)
        with _blaming():
            await keep_in_time(self._window.context, refresh_hz(self._order.fps))
            await PageFunctions(controls).install(self._window.context)
            if order.page_title is not None:
                await page.name(order.page_title)
        return page

    async def ended(self) -> None:
        """Wait for any of the programs to end by itself, or the page to crash; raises `Accident` then."""
        await self._studio.ended()


@contextmanager
def _blaming() -> Iterator[None]:
    """Raise `Accident` for what is heard of a program that ends meanwhile."""
    import xcffib
    from playwright.async_api import Error

    try:
        yield
    except xcffib.ConnectionException as error:
        raise Accident("display", "the X server closed the connection") from error
    except Error as error:
        raise Accident("browser", "the browser ended while its window was set up") from error


def _load() -> None:
    """Import what takes long, on a thread, while the programs start."""
    import panoreel.recorder.capture
    import panoreel.recorder.page
    import panoreel.recorder.visitor
    import panoreel.recorder.window  # noqa: F401  whoever uses them finds them loaded
