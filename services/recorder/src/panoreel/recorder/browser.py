"""Chromium on the recording's own display: sandboxed, without any ornament, driven through Playwright."""

from __future__ import annotations  # Playwright is loaded while display and sound server start

import asyncio
import logging
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from panoreel.recorder.errors import PageCrashed, ProgramFailed
from panoreel.recorder.privileges import ProgramUser, environment

if TYPE_CHECKING:
    from playwright.async_api import Page, Playwright

    from panoreel.recorder.display import Display
    from panoreel.recorder.sound import SoundServer

log = logging.getLogger(__name__)

# The program itself: the shell script of that name in /usr/bin adds options of the distribution's choice.
CHROMIUM: Final = (Path("/usr/lib/chromium/chromium"), Path("/usr/bin/chromium"))
ROOMY_SHARED_MEMORY: Final = 512 * 1024 * 1024
CLOSE_TIMEOUT_S: Final = 3.0
HOUR_MS: Final = 3_600_000

OPTIONS: Final = (
    "--kiosk",  # neither toolbar nor frame
    "--window-position=0,0",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--autoplay-policy=no-user-gesture-required",
    "--deny-permission-prompts",
    "--block-new-web-contents",
    "--test-type",  # no bar that warns of unusual options
    "--disable-quic",
    # There is no GPU. This draws pages by the CPU alone; WebGL goes through SwiftShader.
    "--disable-gpu",
)

QUIET: Final = "window.print = window.close = () => {}"
"""What would put a dialog over the page, or end it, does nothing."""


class Browser:
    """One Chromium with one page, which fills a window at the top left of the display."""

    def __init__(self, user: ProgramUser, run: Path, home: Path) -> None:
        self._user = user
        self._run = run
        self._home = home
        self._playwright: Playwright | None = None
        self._page: Page | None = None
        self._closing: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Start Playwright's driver, a process of ours that outlives neither us nor the browser."""
        from playwright.async_api import async_playwright

        private = self._run / "driver"
        private.mkdir(mode=0o700)
        os.environ.update(environment(private))
        self._playwright = await async_playwright().start()

    async def open_window(
        self, display: Display, sound: SoundServer, width: int, height: int, user_agent: str | None
    ) -> Page:
        """Start Chromium with a blank page in a window of `width` by `height` pixels.

        Raises `ProgramFailed` when it does not start.
        """
        from playwright.async_api import Error

        from panoreel.recorder.window import fit_window

        assert self._playwright is not None
        try:
            context = await self._playwright.chromium.launch_persistent_context(
                self._user.make_directory(self._home / "profile"),
                executable_path=self._launcher(),
                headless=False,
                chromium_sandbox=True,
                no_viewport=True,
                accept_downloads=False,
                user_agent=user_agent,
                env={**environment(self._home), **display.env, **sound.env},
                args=[*OPTIONS, f"--window-size={width},{height}"],
                ignore_default_args=_unwanted_options(),
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            raise ProgramFailed(f"the browser did not start: {error.message.splitlines()[0]}") from error
        await asyncio.to_thread(fit_window, display.env, width, height)
        await context.add_init_script(QUIET)
        context.on("page", self._close_popup)
        self._page = context.pages[0]
        return self._page

    async def ended(self) -> None:
        """Wait for page, browser or driver to crash or end by itself; raises `PageCrashed` then."""
        from playwright.async_api import Error

        assert self._page is not None
        try:
            # No event tells that the driver died, but then a call that is under way fails.
            await self._page.wait_for_function("() => false", polling=HOUR_MS, timeout=0)
        except Error as error:
            raise PageCrashed(
                "the page crashed" if "crash" in error.message else "the browser ended"
            ) from None

    async def stop(self) -> None:
        """End browser and driver, however far their start has come."""
        if self._playwright is None:
            return
        try:
            await asyncio.wait_for(self._playwright.stop(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            log.warning("the browser's driver did not end in time")

    def _close_popup(self, page: Page) -> None:
        closing = asyncio.ensure_future(page.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _launcher(self) -> Path:
        """A script that Playwright takes for the browser: it changes the user and keeps the pipes."""
        chromium = next((path for path in CHROMIUM if path.exists()), None)
        if chromium is None:
            raise ProgramFailed("Chromium is not installed")
        launcher = self._run / "chromium"
        command = self._user.command([str(chromium)], death_signal="KILL")
        launcher.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        launcher.chmod(0o700)
        return launcher


def _unwanted_options() -> list[str]:
    """Those of Playwright's own that spoil a recording: a bar on automation, shared memory on the disk."""
    status = os.statvfs("/dev/shm")
    roomy = status.f_bavail * status.f_frsize >= ROOMY_SHARED_MEMORY  # in a container it often is not
    return ["--enable-automation", *(["--disable-dev-shm-usage"] if roomy else [])]
