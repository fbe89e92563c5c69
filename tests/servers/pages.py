"""A web site whose pages a test writes down, and which tells the test what was asked of it."""

import queue
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SAID_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Request:
    """What a browser sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """`pages` maps paths to documents, `files` to what their names say they are.

    `errors` are the statuses of a path's next answers, before it is well. A page that fetches
    `/say?name=value` is heard by `said`.
    `/to?url` redirects there, `/status/404` answers that, `/hang` never answers, `/private` wants a password.
    """

    address: str
    pages: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    errors: dict[str, list[int]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closed: Event = field(default_factory=Event)
    _said: defaultdict[str, "queue.Queue[str]"] = field(default_factory=lambda: defaultdict(queue.Queue))

    def said(self, name: str, timeout_s: float = SAID_TIMEOUT_S) -> str:
        """The next value that a page says of this name."""
        try:
            return self._said[name].get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"no page said {name}") from None

    def silence(self) -> None:
        """Forget what was said."""
        self._said.clear()

    def hear(self, request: Request) -> None:
        """Note a request."""
        self.requests.append(request)
        if request.path.startswith("/say?"):
            for name, value in parse_qsl(urlsplit(request.path).query, keep_blank_values=True):
                self._said[name].put(value)

    def asked(self, path: str) -> list[Request]:
        """The requests for `path` so far."""
        return [request for request in self.requests if request.path.partition("?")[0] == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.site.hear(Request(self.command, self.path, dict(self.headers), body))
        path, _, query = self.path.partition("?")
        if path == "/hang":
            self.site.closed.wait()
            self.close_connection = True
        elif path == "/to":
            self._answer(307, b"", Location=query)
        elif path == "/private" and "Authorization" not in self.headers:
            self._answer(401, b"private", **{"WWW-Authenticate": 'Basic realm="private"'})
        elif errors := self.site.errors.get(path):
            self._answer(errors.pop(0), b"no")
        elif path.startswith("/status/"):
            self._answer(int(path.removeprefix("/status/")), b"no")
        elif path in self.site.files:
            kind, _ = guess_type(path)
            self._answer(200, self.site.files[path], **{"Content-Type": kind or "application/octet-stream"})
        else:
            page = self.site.pages.get(path, "")
            self._answer(200, b"<!doctype html><meta charset=utf-8>" + page.encode())

    do_POST = do_GET
    do_OPTIONS = do_GET

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        allowed = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
        for name, value in (allowed | {"Content-Type": "text/html"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serve_pages(host: str = "127.0.0.1", port: int = 0) -> Iterator[Site]:
    """A site on `port` of `host`, any free one if that is 0."""
    handler: type[Any] = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer((host, port), handler) as server:
        server.daemon_threads = True
        site = handler.site = Site(f"http://{host}:{server.server_address[1]}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            site.closed.set()
            server.shutdown()
            thread.join()
