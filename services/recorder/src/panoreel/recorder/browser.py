"""Chromium on the recording's own display: sandboxed, without any ornament, driven through Playwright."""

from __future__ import annotations  # Playwright is loaded while display and sound server start

import asyncio
import logging
import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from panoreel.contracts.browser import BrowserLook
from panoreel.recorder.errors import Accident, CaptureError, ProgramFailed, SettingRefused
from panoreel.recorder.privileges import ProgramUser, environment
from panoreel.recorder.profile import make_profile
from panoreel.recorder.proxy import Proxy, network_options
from panoreel.recorder.sound import BROWSER_SAMPLES

if TYPE_CHECKING:
    from playwright.async_api import Page, Playwright

    from panoreel.recorder.display import Display
    from panoreel.recorder.sound import SoundServer

log = logging.getLogger(__name__)

# The program itself: the shell script of that name in /usr/bin adds options of the distribution's choice.
CHROMIUM: Final = (Path("/usr/lib/chromium/chromium"), Path("/usr/bin/chromium"))
ROOMY_SHARED_MEMORY: Final = 512 * 1024 * 1024
CLOSE_TIMEOUT_S: Final = 3.0
WEEKS_MS: Final = 21 * 86_400_000
"""Longer than any recording, and just about the longest that a timer in JavaScript can be."""

OPTIONS: Final = (
    "--kiosk",  # neither toolbar nor frame
    "--window-position=0,0",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
    "--deny-permission-prompts",
    "--block-new-web-contents",
    "--test-type",  # no bar that warns of unusual options
    "--disable-quic",
    # A page can neither ask which screen, file or device to give away, nor for a payment.
    "--disable-blink-features=GetDisplayMedia,FileSystemAccessLocal,PaymentRequest,WebUSB,WebBluetooth,WebHID,Serial",
    f"--audio-buffer-size={BROWSER_SAMPLES}",  # as much as the sound card takes at a time
    # There is no GPU. This draws pages by the CPU alone; WebGL goes through SwiftShader.
    "--disable-gpu",
)

UNUSED_FEATURES: Final = "SpareRendererForSitePerProcess,WebUIOmniboxPopup,WebUIOmniboxAimPopup"
"""They start processes for a next page and for the address bar: 90 MB that a recording has no use for."""

UNSAFE_FEATURES: Final = "AudioServiceOutOfProcess"
"""A page stays silent for good, and nobody is told, when a process of its own for sound dies."""

FEATURES: Final = "NetworkServiceInProcess2"
"""A thread instead of a process, which takes 20 MB more and has no sandbox of its own on Linux, either."""

MADE_UP_DEVICES: Final = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # given without a prompt, and no bubble tells that they are in use
)

DRIVER_ENV: Final = {
    "NODE_OPTIONS": "--unhandled-rejections=none --max-semi-space-size=1",
    "MALLOC_ARENA_MAX": "1",
}
"""The driver would end over any message that it did not expect, and a page can send some. The others save
16 MB."""

LAUNCHER: Final = """\
#!/bin/sh
for option do
  shift
  case $option in
    --disable-features=*) option=$option,{disabled} ;;
    --enable-features=*) option=$option,{enabled} ;;
  esac
  set -- "$@" "$option"
done
exec {command} "$@"
"""

QUIET: Final = """(() => {
    window.alert = window.print = window.close = () => {};
    window.confirm = () => false;
    window.prompt = () => null;
    delete window.PaymentRequest;
    const {open} = window;
    window.open = (url, target, ...rest) => {
        const named = target && document.getElementsByName(target).length;
        return named || /^_(self|parent|top)$/i.test(target) ? open.call(window, url, target, ...rest) : null;
    };
    Element.prototype.requestPointerLock = async () => {};
    const leaving = BeforeUnloadEvent.prototype;
    leaving.preventDefault = () => {};
    Object.defineProperty(leaving, 'returnValue', {get: () => '', set: () => {}});
    addEventListener('beforeunload', () => {
        const own = window.onbeforeunload;
        if (own) window.onbeforeunload = event => { own.call(window, event); };
    });
})()"""
"""What would put a dialog or a hint over the page, or end it, does nothing."""

NOWHERE: Final = "/nonexistent"
"""Chromium's PATH. What it would find there opens links to mail and telephone, in another browser."""

OTHER_PROGRAM: Final = "mailto:nobody@localhost"
"""A link that leads out of the browser. Chromium follows no second one without a click, nor asks whether to,
so this one, which leads nowhere, is the last."""


class Browser:
    """One Chromium with one page, which fills a window at the top left of the display."""

    def __init__(self, user: ProgramUser, run: Path, home: Path, proxy: Proxy, webrtc_udp: bool) -> None:
        self._user = user
        self._proxy = proxy
        self._webrtc_udp = webrtc_udp
        self._run = run
        self._home = home
        self._playwright: Playwright | None = None
        self._page: Page | None = None
        self._gone: asyncio.Future[Accident] = asyncio.get_running_loop().create_future()
        self._closing: set[asyncio.Future[None]] = set()

    async def start(self) -> None:
        """Start Playwright's driver, a process of ours that outlives neither us nor the browser."""
        from playwright.async_api import async_playwright

        private = self._run / "driver"
        private.mkdir(mode=0o700)
        os.environ.update(environment(private) | DRIVER_ENV)
        self._playwright = await async_playwright().start()

    async def open_window(
        self,
        display: Display,
        sound: SoundServer,
        size: tuple[int, int],
        look: BrowserLook,
    ) -> Page:
        """Start Chromium with a blank page in a window of `size`, width and height in device pixels.

        Raises `ProgramFailed` when it does not start, `SettingRefused` when it refuses something of `look`.
        """
        from playwright.async_api import Error

        from panoreel.recorder.window import fit_window

        assert self._playwright is not None
        try:
            context = await self._playwright.chromium.launch_persistent_context(
                make_profile(self._user, self._home / "profile"),
                executable_path=self._launcher(),
                headless=False,
                chromium_sandbox=True,
                no_viewport=True,
                accept_downloads=False,
                user_agent=look.user_agent,
                locale=look.locale,
                timezone_id=look.timezone,
                color_scheme=look.color_scheme,
                ignore_https_errors=look.ignore_certificate_errors,
                env={**environment(self._home), **display.env, **sound.browser_env, "PATH": NOWHERE},
                args=[
                    *OPTIONS,
                    *network_options(self._proxy.port, self._webrtc_udp),
                    f"--window-size={size[0]},{size[1]}",
                    f"--force-device-scale-factor={look.device_scale_factor:g}",
                    *(MADE_UP_DEVICES if look.media_devices == "fake" else ()),
                ],
                ignore_default_args=_unwanted_options(),
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            raise _launch_failure(error.message) from error
        await asyncio.to_thread(fit_window, display.env, *size)
        await context.add_init_script(QUIET)
        context.on("page", self._close_popup)
        self._page = context.pages[0]
        self._page.on("crash", lambda _: self._end(Accident("crashed", "the page crashed")))
        self._page.on("close", lambda _: self._end(Accident("browser", "the browser ended")))
        self._page.on("filechooser", lambda _: None)  # the dialog goes to whoever listens, not to the screen
        with suppress(Error):
            await self._page.goto(OTHER_PROGRAM)
        return self._page

    async def ended(self) -> None:
        """Wait for page, browser or driver to crash or end by itself; raises `Accident` then."""
        assert self._page is not None
        # No event tells that the driver died, but then a call that is under way fails. This one runs in the
        # driver: whatever runs in the page can be broken by the page.
        calling: asyncio.Future[Any] = asyncio.ensure_future(self._page.wait_for_timeout(WEEKS_MS))
        try:
            await asyncio.wait([calling, self._gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        raise self._gone.result() if self._gone.done() else Accident("browser", "the browser ended")

    async def stop(self) -> None:
        """End browser and driver, however far their start has come."""
        if self._playwright is None:
            return
        try:
            await asyncio.wait_for(self._playwright.stop(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            log.warning("the browser's driver did not end in time")

    def _end(self, how: Accident) -> None:
        if not self._gone.done():
            self._gone.set_result(how)

    def _close_popup(self, page: Page) -> None:
        closing = asyncio.ensure_future(page.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _launcher(self) -> Path:
        """A script that Playwright takes for the browser: it changes the user and keeps the pipes.

        It adds to the features that Playwright chooses: Chromium heeds only one option of each name.
        """
        chromium = next((path for path in CHROMIUM if path.exists()), None)
        if chromium is None:
            raise ProgramFailed("Chromium is not installed")
        launcher = self._run / "chromium"
        command = self._user.command([str(chromium)], death_signal="KILL")
        disabled = f"{UNUSED_FEATURES},{UNSAFE_FEATURES}"
        launcher.write_text(LAUNCHER.format(disabled=disabled, enabled=FEATURES, command=shlex.join(command)))
        launcher.chmod(0o700)
        return launcher


def _launch_failure(message: str) -> CaptureError:
    for field, sign in (("Timezone", "Invalid timezone"), ("Locale", "Invalid locale")):
        if sign in message:
            return SettingRefused(f"the browser does not know this Browser.{field}; use another one")
    return ProgramFailed(f"the browser did not start: {message.splitlines()[0]}")


def _unwanted_options() -> list[str]:
    """Those of Playwright's own that spoil a recording: a bar on automation, popups, memory on the disk."""
    status = os.statvfs("/dev/shm")
    roomy = status.f_bavail * status.f_frsize >= ROOMY_SHARED_MEMORY  # in a container it often is not
    unwanted = ["--enable-automation", "--disable-popup-blocking"]
    return [*unwanted, *(["--disable-dev-shm-usage"] if roomy else [])]
