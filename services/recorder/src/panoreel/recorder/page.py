"""Opening a RecordURL until there is something to record, and telling the user why when there is not."""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import CDPSession, Error, Page, Request, Response
from playwright.async_api import TimeoutError as LoadTimeout

from panoreel.contracts.events import Trouble
from panoreel.contracts.urls import redacted
from panoreel.recorder.documents import PDF_LOOK, pdf_shown
from panoreel.recorder.errors import Accident, PageCrashed, PageRefused, tells_end
from panoreel.recorder.navigation import give_up, hangs, interrupting, refused_navigations
from panoreel.recorder.proxy import Proxy
from panoreel.recorder.visitor import Visitor, without_login

PAINT_TIMEOUT_S: Final = 5.0
BEGIN_TIMEOUT_S: Final = 1.0

TITLE: Final = "if (window === top) addEventListener('DOMContentLoaded', () => document.title = {title})"

NETWORK_ERRORS: Final = (
    (r"ERR_NAME_(NOT_RESOLVED|RESOLUTION_FAILED)|ERR_DNS_.*", "its host was not found"),
    (r"ERR_CONNECTION_REFUSED", "the connection was refused"),
    (r"ERR_NETWORK_ACCESS_DENIED", "it leads to an address that is not public and may not be recorded"),
    (r"ERR_(CONNECTION_)?TIMED_OUT", "its host did not answer in time"),
    (r"ERR_(ADDRESS_UNREACHABLE|INTERNET_DISCONNECTED|ADDRESS_INVALID)", "its host cannot be reached"),
    (r"ERR_(CERT|SSL|BAD_SSL)_.*", "no secure connection could be made, see its certificate"),
    (r"ERR_CONNECTION_(RESET|CLOSED)|ERR_EMPTY_RESPONSE", "its host closed the connection without an answer"),
    (r"ERR_TOO_MANY_REDIRECTS", "it redirects without end"),
    (r"ERR_UNSAFE_REDIRECT", "it redirects to what is no web page"),
    (r"ERR_ABORTED|ERR_UNKNOWN_URL_SCHEME", "it leads to no page"),
)
"""Chromium's names, from net/base/net_error_list.h, in words."""

PROXY_ERRORS: Final = ("ERR_SOCKS_CONNECTION_FAILED", "ERR_FAILED")
"""What Chromium says when the proxy could not connect, and what CDP makes of it."""

UNTRUSTED: Final = "ERR_CERT_"

STAYS: Final = "ERR_ABORTED"
"""What becomes of a way to a download, to no content, or to a page that was given up for yet another one."""

BLANK: Final = "about:blank"

PAINTED: Final = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

MEDIA_LOOK: Final = """(() => {
    if (window !== top || !/^(image|video|audio)\\//.test(document.contentType)) return;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`
        body { margin: 0 !important }
        img, video, audio {
            position: fixed !important; inset: 0 !important; margin: 0 !important; cursor: none !important;
            width: 100vw !important; height: 100vh !important;
            max-width: none !important; max-height: none !important; object-fit: contain !important;
        }
        ::-webkit-media-controls { display: none !important }
    `);
    document.adoptedStyleSheets = [sheet];
})()"""
"""Chromium wraps a media file in a document of its own: from its first picture on no player is to be seen."""

PREPARE_MEDIA: Final = """async () => {
    const shown = document.querySelector('video, audio');
    if (!/^(video|audio)\\//.test(document.contentType) || !shown) return false;
    shown.controls = false;
    shown.pause();
    const rewound = new Promise(done => {
        shown.addEventListener('seeked', done, {once: true});
        setTimeout(done, 2000);  // a stream cannot be rewound
    });
    if (shown.currentTime > 0) { shown.currentTime = 0; await rewound; }
    return true;
}"""
"""A media file begins when we do."""


class RecordedPage:
    """The page that `url` leads to, opened by `visitor` in the browser's one window."""

    def __init__(
        self, page: Page, visitor: Visitor, url: str, proxy: Proxy, on_trouble: Callable[[Accident], None]
    ) -> None:
        """`on_trouble` is told when the page, once it is opened, leads to another one that is an error."""
        self._page = page
        self._on_trouble = on_trouble
        self._leaving = True
        self._visitor = visitor
        self._url = url
        self._proxy = proxy
        self._asked_for = url
        page.on("request", self._note_request)
        page.on("response", self._note_response)
        page.on("requestfailed", self._note_failure)
        self._is_media = False
        self._session: CDPSession | None = None

    async def name(self, title: str) -> None:
        """Have the page opened under this `document.title`, by which its own scripts may tell a recording."""
        await self._page.add_init_script(TITLE.format(title=json.dumps(title)))

    async def open(self, timeout_s: float, *, bear_errors: bool = False) -> None:
        """Load the page and wait until it has painted; raises `PageRefused` with a sentence for the user.

        A page that comes with the status of an error is as good as any other to who is to `bear_errors`.
        Raises `SettingRefused`, and `PageCrashed` when there is no page any more.
        """
        self._check_scheme()
        try:
            await self._load(timeout_s, bear_errors=bear_errors)
            # A page that is too busy with itself to tell is recorded as it is.
            with suppress(TimeoutError):
                async with asyncio.timeout(PAINT_TIMEOUT_S):
                    await self._settle()
        except Error as error:
            raise self._failure(error.message) from None

    async def _load(self, timeout_s: float, *, bear_errors: bool) -> None:
        self._session = await self._page.context.new_cdp_session(self._page)
        await self._page.add_init_script(MEDIA_LOOK)
        await self._page.add_init_script(PDF_LOOK)
        await self._visitor.arrive(self._url)
        statuses: list[int] = []

        def note_status(response: Response) -> None:
            if response.request.is_navigation_request() and response.frame.parent_frame is None:
                statuses.append(response.status)

        # An error status without a body is no response but an error to Playwright: hence the event.
        self._page.on("response", note_status)
        try:
            await self._page.goto(without_login(self._url), timeout=timeout_s * 1000)
        except LoadTimeout:
            raise self._refused(f"it did not finish loading within {timeout_s:g} s") from None
        except Error as error:
            self._visitor.check()
            self._check(statuses)
            raise self._failure(error.message) from None
        finally:
            self._leaving = False
            self._page.remove_listener("response", note_status)
        if not bear_errors:
            self._check(statuses)
        elif statuses and statuses[-1] >= 400:
            self._on_trouble(_http_error(statuses[-1]))

    async def begin(self) -> None:
        """Recording begins: a media file plays from its start."""
        if self._is_media:
            # A page that has gone meanwhile is noticed by the browser, and one that hangs said so falsely.
            with suppress(Error, TimeoutError):
                async with asyncio.timeout(BEGIN_TIMEOUT_S):
                    # Not awaited: a source that stalls would hold up everything else.
                    await self._page.evaluate(
                        "void document.querySelector('video, audio').play().catch(() => {})"
                    )

    async def refresh(self, url: str | None, timeout_s: float) -> None:
        """Load what is shown again, or `url` instead; raises `PageRefused`, and then all stays as it is.

        Only a page that hangs is given up for it in any case. Raises `SettingRefused`, and `PageCrashed` when
        there is no page any more.
        """
        before = self._url
        self._url = url or self._url
        self._leaving = True
        try:
            self._check_scheme()
            async with asyncio.timeout(timeout_s):
                await self._leave(url is None)
        except TimeoutError:
            refused = self._refused(f"it did not answer within {timeout_s:g} s")
            self._url = before
            raise refused from None
        except BaseException:
            self._url = before
            raise
        finally:
            self._leaving = False
        with suppress(TimeoutError, Error):
            async with asyncio.timeout(PAINT_TIMEOUT_S):
                await self._page.wait_for_load_state()
                await self._settle()
        await self.begin()

    async def _leave(self, again: bool) -> None:
        """Go where `_url` leads, or load what is shown `again`."""
        if self._session is None:
            raise PageCrashed("the browser ended before the page was opened")
        refusals: list[int | str] = []
        try:
            if hanging := await hangs(self._session):
                await give_up(self._page, self._session)
            async with (
                self._visitor.turning_to(self._url) as arriving,
                interrupting(self._session),
                refused_navigations(self._page, arriving, refusals),
            ):
                if again and not hanging and self._page.url != BLANK:
                    await self._page.reload(wait_until="commit", timeout=0)
                else:
                    await self._page.goto(without_login(self._url), wait_until="commit", timeout=0)
        except Error as error:
            refusal = refusals[-1] if refusals else error.message
            if isinstance(refusal, int):
                self._check([refusal])
            raise self._failure(str(refusal)) from None

    def _check_scheme(self) -> None:
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise PageRefused(f"RecordURL {redacted(self._url)} is neither http nor https")

    async def _settle(self) -> None:
        """Wait for two animation frames, and anew if the page leads on to another one meanwhile."""
        while True:
            try:
                self._is_media = await self._page.evaluate(PREPARE_MEDIA)
                await pdf_shown(self._page)
                await self._page.evaluate(PAINTED)
                return
            except Error:
                await self._page.wait_for_load_state()

    def _check(self, statuses: list[int]) -> None:
        if statuses and statuses[-1] >= 400:
            raise self._refused(f"it answered {_status(statuses[-1])}")

    def _note_request(self, request: Request) -> None:
        if request.is_navigation_request() and request.frame.parent_frame is None:
            self._asked_for = request.url  # where a redirect leads is a request of its own

    def _note_response(self, response: Response) -> None:
        if self._troubles(response.request) and response.status >= 400:
            self._on_trouble(_http_error(response.status))

    def _note_failure(self, request: Request) -> None:
        failure = request.failure or ""
        if self._troubles(request) and STAYS not in failure:
            trouble: Trouble = "certificate_error" if UNTRUSTED in failure else "network_error"
            self._on_trouble(Accident(trouble, f"the page could not be opened: {self._words(failure)}"))

    def _troubles(self, request: Request) -> bool:
        """Whether the page would be gone with this request, and nobody but it has asked for that."""
        return not self._leaving and request.is_navigation_request() and request.frame.parent_frame is None

    def _failure(self, message: str) -> PageRefused | PageCrashed:
        """What Playwright says, in words; its own message holds the whole URL."""
        if tells_end(message):
            return PageCrashed("the browser ended, or the page crashed, while it was opened")
        if "Download is starting" in message:
            return PageRefused(
                "invalid RecordURL or unsupported RecordURL, please check again: it is a download, not a page"
            )
        return self._refused(self._words(message))

    def _words(self, message: str) -> str:
        """What the network error that `message` names means."""
        found = re.search(r"net::(ERR_\w+)", message)
        name = found.group(1) if found else "ERR_FAILED"
        if name in PROXY_ERRORS:
            name = self._proxy.failure(self._asked_for) or name
        for pattern, words in NETWORK_ERRORS:
            if re.fullmatch(pattern, name):
                return f"{words} ({name})"
        return f"the browser says {name}"

    def _refused(self, why: str) -> PageRefused:
        return PageRefused(f"RecordURL {redacted(self._url)} could not be opened: {why}")


def _http_error(code: int) -> Accident:
    return Accident("http_error", f"the page answered {_status(code)}")


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
