"""The loopback server of the benchmarks' pages, which listens to what they tell of themselves."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

PAGES: Final = Path(__file__).parent / "pages"
NAMES: Final = tuple(sorted(page.stem for page in PAGES.glob("*.html") if page.stem != "tab"))


@dataclass
class Site:
    """`drawn` maps the numbers that a page has told of to when it drew them, in Unix milliseconds.

    `slices` is what a MediaRecorder has sent; `failed` what went wrong in its page.
    """

    media: Path
    address: str = ""
    drawn: dict[int, float] = field(default_factory=dict)
    slices: bytearray = field(default_factory=bytearray)
    failed: str = ""

    def url(self, page: str) -> str:
        """The address of a page by name; a URL stays what it is."""
        return f"{self.address}/{page}.html" if page in NAMES else page

    def tab(self, page: str) -> str:
        """The address of the page that shows another one and records it by MediaRecorder."""
        return f"{self.address}/tab.html?page={quote(self.url(page))}"

    def forget(self) -> None:
        """Begin anew with whatever pages have told."""
        self.drawn.clear()
        self.slices.clear()
        self.failed = ""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, site: Site, roots: Sequence[Path], **kwargs: Any) -> None:
        self._site = site
        self._roots = roots
        super().__init__(*args, directory=str(roots[0]), **kwargs)

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].removeprefix("/media").lstrip("/")
        found = [root / name for root in self._roots if (root / name).is_file()]
        return str(found[0]) if found and ".." not in name else super().translate_path("/none")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.path:
            case "/drawn":
                self._site.drawn.update((int(number), float(time)) for number, time in json.loads(body))
            case "/slice":
                self._site.slices += body
            case "/failed":
                self._site.failed = body.decode(errors="replace")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serve(media: Path) -> Iterator[Site]:
    """Serve the pages, and the files in `media` under `/media/`, on a free port of loopback."""
    site = Site(media)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site=site, roots=(PAGES, media)))
    server.daemon_threads = True
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
