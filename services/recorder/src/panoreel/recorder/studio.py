"""What one recording runs: a display, a sound server, a proxy, and a browser on them; started together."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from panoreel.contracts.events import Program
from panoreel.recorder.browser import Browser
from panoreel.recorder.display import Display, Geometry
from panoreel.recorder.errors import Accident, ProgramFailed
from panoreel.recorder.privileges import ProgramUser
from panoreel.recorder.protocol import StageOrder
from panoreel.recorder.proxy import Proxy
from panoreel.recorder.refresh import Refresh
from panoreel.recorder.sound import SoundServer


class Studio:
    """Display, sound server, proxy and browser driver; an async context manager that runs them.

    Raises `CaptureError` on entry when one of them does not start.
    """

    def __init__(self, user: ProgramUser, run: Path, order: StageOrder) -> None:
        """`run` is where the programs have their files."""
        run = run.resolve()
        run.chmod(0o711)  # the service user passes through to its home
        home = user.make_directory(run / "home")
        self.user = user
        self.display = Display(Geometry.holding(order.width, order.height, order.fps), user, home)
        self.sound = SoundServer(user, home, Refresh(order.fps).sound_lead_s)
        self.proxy = Proxy(order.allowed_networks)
        self.browser = Browser(user, run, home, self.proxy, order.webrtc_udp)

    async def __aenter__(self) -> Self:
        programs = (self.display, self.sound, self.proxy, self.browser)
        async with AsyncExitStack() as stack:
            for program in programs:
                stack.push_async_callback(program.stop)
            await _together(
                _blaming("display", self.display.start()),
                _blaming("sound", self.sound.start()),
                self.proxy.start(),
                self.browser.start(),
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ended(self) -> None:
        """Wait for any of the programs to end by itself, or the page to crash; raises `Accident` then."""
        await _together(
            _blaming("display", self.display.ended()),
            _blaming("sound", self.sound.ended()),
            self.browser.ended(),
        )


async def _blaming(program: Program, ending: Coroutine[None, None, None]) -> None:
    try:
        await ending
    except ProgramFailed as error:
        raise Accident(program, str(error)) from error


async def _together(*steps: Coroutine[None, None, None]) -> None:
    """Await all of them; when one fails, the others are cancelled before its error is raised."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
