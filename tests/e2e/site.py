"""The web site that is recorded: test pages, media made on the fly, and everything that can go wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from panoreel.bench import films
from panoreel.bench.site import PAGES as BENCH_PAGES

PAGES = Path(__file__).parent / "pages"
SHARED = ("busy.html", "counter.js")
"""What the benchmarks show, too, lies with them."""


def make_moving_video(path: Path, *, seconds: int) -> None:
    """Bars that move, and 1 kHz."""
    films.write(films.moving(), path, seconds)


def make_flashing_video(path: Path, *, seconds: int) -> None:
    """A white picture and 1 kHz for a fifth of each second."""
    films.write(films.flashing(), path, seconds)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, media: Path, **kwargs: object) -> None:
        self._media = media
        super().__init__(*args, directory=str(PAGES), **kwargs)  # type: ignore[arg-type]  # passed through

    def translate_path(self, path: str) -> str:
        if path.startswith("/media/"):
            return str(self._media / Path(path.partition("?")[0]).name)
        shared = BENCH_PAGES / Path(path.partition("?")[0]).name
        return str(shared) if shared.name in SHARED else super().translate_path(path)

    def do_GET(self) -> None:
        if self.path.startswith("/download"):
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Disposition", "attachment; filename=a.bin")
            self.end_headers()
            self.wfile.write(b"0123456789")
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serve_site(media: Path) -> Iterator[str]:
    """Serve the pages, and the files in `media` under `/media/`; the site's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, media=media))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
