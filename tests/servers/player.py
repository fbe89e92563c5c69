"""Chromium as a player: of MP4 by itself, of HLS by hls.js, as web pages do it."""

import base64
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Page, sync_playwright

from tests.servers.needs import unmet
from tests.servers.pages import serve_pages

VERSION = "1.7.4"
INTEGRITY = "3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg=="
"""SHA-512 of the package in the npm registry."""

CACHE = Path(__file__).parents[2] / ".tools" / f"hls.js-{VERSION}.min.js"
CHROMIUM = "/usr/bin/chromium"
PLAYED_TIMEOUT_S = 90.0
DOWNLOAD_TIMEOUT_S = 60.0

_PAGE = """<script src=/hls.js></script><video muted></video><script>
const video = document.querySelector("video")
const state = {ended: false, failure: null}
video.onended = () => state.ended = true
function play(url, rate) {
  if (url.endsWith(".m3u8")) load(url)
  else {
    video.onerror = () => state.failure = video.error.message
    video.src = url
  }
  video.playbackRate = rate
  video.play().catch(() => {})
}
function load(url) {
  const hls = new Hls()
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) state.failure = data.details })
  hls.loadSource(url)
  hls.attachMedia(video)
}
function seek(time) {
  return new Promise(done => {
    video.onseeked = () => done(video.currentTime)
    video.currentTime = time
  })
}
</script>"""


@dataclass(frozen=True)
class Player:
    """A page that plays one file or playlist after the other."""

    page: Page

    def play(self, url: str, rate: float = 1) -> None:
        """Begin anew; the media's server has to allow other origins."""
        self.page.reload()
        self.page.evaluate("([url, rate]) => play(url, rate)", [url, rate])

    def seek(self, time_s: float) -> float:
        """Go on from another place; where that is."""
        reached_s: float = self.page.evaluate("time => seek(time)", time_s)
        return reached_s

    def await_end(self) -> None:
        """Wait until it has ended, be it because of an error."""
        self.page.wait_for_function("state.ended || state.failure", timeout=PLAYED_TIMEOUT_S * 1000)

    @property
    def failure(self) -> str | None:
        """The error that ended it, by its name in hls.js, or in Chromium's words."""
        failure: str | None = self.page.evaluate("state.failure")
        return failure

    @property
    def time_s(self) -> float:
        """Where it is."""
        time_s: float = self.page.evaluate("video.currentTime")
        return time_s

    @property
    def frames(self) -> int:
        """How many pictures were decoded, dropped ones among them."""
        frames: int = self.page.evaluate("video.getVideoPlaybackQuality().totalVideoFrames")
        return frames


@contextmanager
def players() -> Iterator[Player]:
    """A player in a browser of its own."""
    with (
        serve_pages() as site,
        sync_playwright() as playwright,
        # What looks for a sound server makes a directory of its own in /tmp otherwise, and leaves it.
        tempfile.TemporaryDirectory() as pulse,
    ):
        site.pages["/"] = _PAGE
        site.files["/hls.js"] = _hls_js()
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, env={**os.environ, "PULSE_RUNTIME_PATH": pulse}
        )
        page = browser.new_page()
        page.goto(f"{site.address}/")
        yield Player(page)
        browser.close()


@cache
def _hls_js() -> bytes:
    """The library, from the npm registry when it is not there yet."""
    if CACHE.exists():
        return CACHE.read_bytes()
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    try:
        with urlopen(f"{registry}/hls.js/-/hls.js-{VERSION}.tgz", timeout=DOWNLOAD_TIMEOUT_S) as answer:
            package = answer.read()
    except OSError as error:
        unmet(f"hls.js {VERSION} is not to be had: {error}")
    assert base64.b64encode(hashlib.sha512(package).digest()).decode() == INTEGRITY
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        file = archive.extractfile("package/dist/hls.min.js")
        assert file is not None
        content = file.read()
    # Under another name first: other tests may look for it at the same time.
    written = CACHE.with_suffix(f".{os.getpid()}")
    written.parent.mkdir(exist_ok=True)
    written.write_bytes(content)
    written.replace(CACHE)
    return content
