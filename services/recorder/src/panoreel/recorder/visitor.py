"""Who visits the page: the cookies, stored items and headers that the caller has the browser come with."""

from __future__ import annotations  # Playwright is loaded while display and sound server start

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from panoreel.contracts.browser import BrowserSettings, Cookie
from panoreel.reach.addresses import parse_host
from panoreel.recorder.errors import SettingRefused, tells_end

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, CDPSession, Page, Route

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

DEVIATING: Final = frozenset("ßς\u200c\u200d")
"""What IDNA 2003 maps to something else and browsers do not (UTS 46 §6)."""

STORE: Final = """items => {
    for (const [key, value] of Object.entries(items)) localStorage.setItem(key, value);
}"""


class Visitor:
    """The visitor whose browser shows `page`."""

    def __init__(self, page: Page, settings: BrowserSettings) -> None:
        self._page = page
        self._settings = settings
        self._session: CDPSession | None = None
        self._origins: frozenset[str] = frozenset()
        self._logins: dict[str, str] = {}
        self._sending: set[asyncio.Future[None]] = set()
        self._refusal: SettingRefused | None = None

    async def arrive(self, url: str) -> None:
        """Have everything in place before `url` is opened; raises `SettingRefused`.

        Raises Playwright's `Error` when the browser has gone.
        """
        await self._take_cookies()
        await self._fill_storage()
        await self._send_headers_to(self._origins_of(url))

    @asynccontextmanager
    async def turning_to(self, url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Enter before `url` is opened in place of what is shown: its origin is sent the headers, too.

        Yields what to await before the page arrives: its origin is the only one then. All is as before, if
        this is left by an exception. Raises `SettingRefused`.
        """
        before, after = self._origins, self._origins_of(url)
        await self._send_headers_to(before | after)
        try:
            yield lambda: self._send_headers_to(after)
        except BaseException:
            await self._send_headers_to(before)
            raise

    def _origins_of(self, url: str) -> frozenset[str]:
        """The one that is sent anything when `url` is recorded, if any is."""
        login = _login(url)
        if not (self._settings.headers or login):
            return frozenset()
        origin = _named_origin(url)
        if login:
            self._logins[origin] = login
        return frozenset({origin})

    async def _send_headers_to(self, origins: frozenset[str]) -> None:
        if origins == self._origins:
            return
        # Chromium applies a header to one request alone: a redirect is another one, looked at anew.
        if self._session is None:
            browser = self._page.context.browser
            assert browser is not None
            # The browser's own session sees the requests of all frames and workers.
            self._session = await browser.new_browser_cdp_session()
            self._session.on("Fetch.requestPaused", self._on_paused)
        self._origins = origins
        patterns = [{"urlPattern": f"{_literal(each)}/*", "requestStage": "Request"} for each in origins]
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
        headers = self._headers(paused["request"])
        entries = [{"name": name, "value": value} for name, value in headers.items()]
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

    def _headers(self, request: dict[str, Any]) -> dict[str, str]:
        """What `request` is sent with: the caller's headers in place of its own."""
        replaced = {name.lower() for name in self._settings.headers}
        sent = {name: value for name, value in request["headers"].items() if name.lower() not in replaced}
        headers: dict[str, str] = sent | self._settings.headers
        if "authorization" not in {name.lower() for name in headers}:
            for origin, login in self._logins.items():
                if request["url"].startswith(f"{origin}/"):
                    headers["Authorization"] = login
        return headers

    async def _take_cookies(self) -> None:
        from playwright.async_api import Error

        for number, cookie in enumerate(self._settings.cookies):
            try:
                await _set_cookie(self._page.context, cookie)
            except Error as error:  # whose message may hold the value
                if tells_end(error.message):
                    raise
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
            except Error as error:  # whose message may hold the items
                if tells_end(error.message):
                    raise
                raise SettingRefused(
                    f"the browser refuses Browser.StorageState: {origin} can have no such localStorage, "
                    "check the origin, and that its items hold no more than 5 MB"
                ) from None
        await self._page.goto("about:blank")
        await self._page.unroute_all()
        session = await self._page.context.new_cdp_session(self._page)
        await session.send("Page.resetNavigationHistory")
        await session.detach()


def origin(url: str) -> str:
    """The origin of an http or https URL as a browser writes it (WHATWG HTML, "serialization of an origin").

    Never asked of the page, which could lie. Raises `ValueError` when no browser would open the URL, or when
    they disagree on what its host means.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if DEVIATING & set(unquote(host).lower()):
        raise ValueError("the host can be read in two ways")
    parsed = parse_host(f"[{host}]" if ":" in host else host)
    written = f"[{IPv6Address(host)}]" if ":" in host else parsed  # which keeps IPv4 in IPv6 as it is
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{written}{port}"


def without_login(url: str) -> str:
    """`url` as it is opened: its name and password are sent by the visitor."""
    parts = urlsplit(url)
    if parts.username is None:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _login(url: str) -> str | None:
    """What the name and password in `url`, if any, are sent as (RFC 7617)."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def _named_origin(url: str) -> str:
    try:
        return origin(url)
    except ValueError:
        raise SettingRefused(
            "Browser.Headers cannot be sent to the host of RecordURL: write it in ASCII, as xn--… if need be"
        ) from None


def _literal(text: str) -> str:
    """`text` where CDP takes a pattern."""
    return re.sub(r"([*?\\])", r"\\\1", text)


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
