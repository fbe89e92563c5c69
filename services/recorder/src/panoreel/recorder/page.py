"""Opening a RecordURL until there is something to record, and telling the user why when there is not."""

import asyncio
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Error, Page, Response
from playwright.async_api import TimeoutError as LoadTimeout

from panoreel.recorder.errors import PageRefused

PAINT_TIMEOUT_S: Final = 5.0

NETWORK_ERRORS: Final = (
    (r"ERR_NAME_(NOT_RESOLVED|RESOLUTION_FAILED)|ERR_DNS_.*", "its host was not found"),
    (r"ERR_CONNECTION_REFUSED", "the connection was refused"),
    (r"ERR_(CONNECTION_)?TIMED_OUT", "its host did not answer in time"),
    (r"ERR_(ADDRESS_UNREACHABLE|INTERNET_DISCONNECTED|ADDRESS_INVALID)", "its host cannot be reached"),
    (r"ERR_(CERT|SSL|BAD_SSL)_.*", "no secure connection could be made, see its certificate"),
    (r"ERR_CONNECTION_(RESET|CLOSED)|ERR_EMPTY_RESPONSE", "its host closed the connection without an answer"),
    (r"ERR_TOO_MANY_REDIRECTS", "it redirects without end"),
    (r"ERR_ABORTED|ERR_UNKNOWN_URL_SCHEME", "it leads to no page"),
)
"""Chromium's names, from net/base/net_error_list.h, in words."""

PAINTED: Final = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

PREPARE_MEDIA: Final = """async () => {
    const kind = document.contentType.split('/')[0];
    const shown = document.querySelector(kind === 'image' ? 'img' : 'video, audio');
    if (!['image', 'video', 'audio'].includes(kind) || !shown) return false;
    document.body.style.margin = 0;
    shown.style.cssText =
        'position: fixed; inset: 0; width: 100vw; height: 100vh; max-width: none; max-height: none; '
        + 'margin: 0; object-fit: contain; cursor: none';
    if (kind === 'image') return false;
    shown.controls = false;
    shown.pause();
    const rewound = new Promise(done => shown.addEventListener('seeked', done, {once: true}));
    if (shown.currentTime > 0) { shown.currentTime = 0; await rewound; }
    return true;
}"""
"""Chromium wraps a media file in a document of its own: no player is to be seen, and it begins when we do."""


class RecordedPage:
    """The page that `url` leads to, in the browser's one window."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url
        self._is_download = False
        self._is_media = False
        page.on("download", lambda _: setattr(self, "_is_download", True))

    async def open(self, timeout_s: float) -> None:
        """Load the page and wait until it has painted; raises `PageRefused` with a sentence for the user."""
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise PageRefused(f"RecordURL {address(self._url)} is neither http nor https")
        try:
            response = await self._page.goto(self._url, timeout=timeout_s * 1000)
        except LoadTimeout:
            raise self._refused(f"it did not finish loading within {timeout_s:g} s") from None
        except Error as error:
            raise self._failure(error) from None
        self._check(response)
        try:
            async with asyncio.timeout(PAINT_TIMEOUT_S):
                await self._settle()
        except TimeoutError:
            pass  # a page that is busy with itself is recorded as it is

    async def begin(self) -> None:
        """Recording begins: a media file plays from its start."""
        if self._is_media:
            await self._page.evaluate("document.querySelector('video, audio').play()")

    async def _settle(self) -> None:
        """Wait for two animation frames, and anew if the page leads on to another one meanwhile."""
        while True:
            try:
                self._is_media = await self._page.evaluate(PREPARE_MEDIA)
                await self._page.evaluate(PAINTED)
                return
            except Error:
                await self._page.wait_for_load_state()

    def _check(self, response: Response | None) -> None:
        if response is not None and response.status >= 400:
            raise self._refused(f"it answered {_status(response)}")

    def _failure(self, error: Error) -> PageRefused:
        if self._is_download:
            return PageRefused(
                "invalid RecordURL or unsupported RecordURL, please check again: it is a download, not a page"
            )
        found = re.search(r"net::(ERR_\w+)", error.message)
        name = found.group(1) if found else "ERR_FAILED"
        for pattern, words in NETWORK_ERRORS:
            if re.fullmatch(pattern, name):
                return self._refused(f"{words} ({name})")
        return self._refused(f"the browser says {name}")

    def _refused(self, why: str) -> PageRefused:
        return PageRefused(f"RecordURL {address(self._url)} could not be opened: {why}")


def address(url: str) -> str:
    """What may be told of a URL: scheme, host, port and path, nothing else."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _status(response: Response) -> str:
    try:
        return f"{response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return str(response.status)
