"""Who visits the page: the cookies, stored items and headers that the caller has the browser come with."""

from __future__ import annotations  # Playwright is loaded while display and sound server start

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from panoreel.contracts.browser import BrowserSettings, Cookie
from panoreel.recorder.errors import SettingRefused

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page, Route

ORIGIN: Final = "url => new URL(url).origin"

STORE: Final = """items => {
    for (const [key, value] of Object.entries(items)) localStorage.setItem(key, value);
}"""


class Visitor:
    """The visitor whose browser shows `page`."""

    def __init__(self, page: Page, settings: BrowserSettings) -> None:
        self._page = page
        self._settings = settings
        self._session: CDPSession | None = None
        self._origins: list[str] = []
        self._sending: set[asyncio.Future[None]] = set()
        self._refusal: SettingRefused | None = None

    async def arrive(self, url: str) -> None:
        """Have everything in place before `url` is opened; raises `SettingRefused`."""
        await self._take_cookies()
        await self._fill_storage()
        await self.turn_to(url)

    async def turn_to(self, url: str) -> None:
        """Send the headers to the origin of `url`, too: that and those before it are what the caller named.

        Chromium applies a header to one request alone: a redirect is another one, looked at anew.
        """
        if not self._settings.headers:
            return
        if self._session is None:
            browser = self._page.context.browser
            assert browser is not None
            # The browser's own session sees the requests of all frames and workers.
            self._session = await browser.new_browser_cdp_session()
            self._session.on("Fetch.requestPaused", self._on_paused)
        self._origins.append(await self._page.evaluate(ORIGIN, url))
        patterns = [{"urlPattern": f"{origin}/*", "requestStage": "Request"} for origin in self._origins]
        await self._session.send("Fetch.enable", {"patterns": patterns})

    def check(self) -> None:
        """Raise `SettingRefused` if the browser refused to send the headers."""
        if self._refusal:
            raise self._refusal

    def _on_paused(self, paused: dict[str, Any]) -> None:
        sending = asyncio.ensure_future(self._send_on(paused))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send_on(self, paused: dict[str, Any]) -> None:
        from playwright.async_api import Error

        assert self._session is not None
        request_id = {"requestId": paused["requestId"]}
        replaced = {name.lower() for name in self._settings.headers}
        sent = paused["request"]["headers"].items()
        headers = {name: value for name, value in sent if name.lower() not in replaced}
        entries = [
            {"name": name, "value": value} for name, value in (headers | self._settings.headers).items()
        ]
        try:
            await self._session.send("Fetch.continueRequest", request_id | {"headers": entries})
        except Error as error:  # perhaps only because the page has given the request up
            with suppress(Error):
                await self._session.send("Fetch.failRequest", request_id | {"errorReason": "Aborted"})
                if "header" in error.message.lower():
                    self._refusal = SettingRefused(
                        "the browser refuses to send Browser.Headers: names must be tokens, values one line, "
                        "and none may be a header that a browser sets by itself, such as Host"
                    )

    async def _take_cookies(self) -> None:
        from playwright.async_api import Error

        for number, cookie in enumerate(self._settings.cookies):
            try:
                await _set_cookie(self._page.context, cookie)
            except Error:  # whose message may hold the value
                raise SettingRefused(
                    f"the browser refuses Browser.Cookies[{number}]: "
                    "check its Name, Value, Domain, Path, Secure and SameSite"
                ) from None

    async def _fill_storage(self) -> None:
        """Fill localStorage, origin by origin, on empty pages that are not fetched from anywhere."""
        from playwright.async_api import Error

        if not self._settings.local_storage:
            return
        await self._page.route("**/*", _answer_empty)
        for origin, items in self._settings.local_storage.items():
            try:
                await self._page.goto(origin)
                await self._page.evaluate(STORE, items)
            except Error:  # whose message may hold the items
                raise SettingRefused(
                    f"the browser refuses Browser.StorageState: {origin} can have no such localStorage, "
                    "check the origin, and that its items hold no more than 5 MB"
                ) from None
        await self._page.goto("about:blank")
        await self._page.unroute_all()
        session = await self._page.context.new_cdp_session(self._page)
        await session.send("Page.resetNavigationHistory")
        await session.detach()


async def _answer_empty(route: Route) -> None:
    await route.fulfill(content_type="text/html", body="")


async def _set_cookie(context: BrowserContext, cookie: Cookie) -> None:
    await context.add_cookies(
        [
            {
                "name": cookie.name,
                "value": cookie.value,
                "domain": cookie.domain,
                "path": cookie.path,
                "expires": -1 if cookie.expires is None else cookie.expires,
                "httpOnly": cookie.http_only,
                "secure": cookie.secure,
                "sameSite": cookie.same_site,
            }
        ]
    )
