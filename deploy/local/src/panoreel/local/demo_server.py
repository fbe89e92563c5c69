"""Serves the demo page that ships with the project, on loopback, for as long as it is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from .ports import LOOPBACK

DIRECTORY = Path(__file__).parent / "demo"


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Keep quiet: the terminal is for the recording."""


@contextmanager
def demo_page() -> Iterator[str]:
    """The URL of the demo page."""
    with ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, directory=str(DIRECTORY))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
