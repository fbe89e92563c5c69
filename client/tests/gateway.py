"""A server in front of Panoreel that answers what a test has written down, one answer for each request."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Reply:
    """An answer; `length` is a `Content-Length` that is not the body's."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


LOST = None
"""In the place of a reply: the connection breaks once the request has arrived."""


@dataclass
class Gateway:
    """What it is asked and what it answers; the last answer is given again and again."""

    replies: list[Reply | None]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def gateway(*replies: Reply | None) -> Iterator[Gateway]:
    """A running one."""
    state = Gateway(list(replies))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.requests.append(json.loads(body) if body else {"path": self.path})
            reply = state.replies.pop(0) if len(state.replies) > 1 else state.replies[0]
            self.close_connection = True
            if reply is None:
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = answer

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
