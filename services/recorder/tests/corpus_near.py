"""Run in a network namespace where every address is this machine's own: a recording of a page that tries all
forbidden URLs, three ways each. Prints which addresses were reached.
"""

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from contracts.tests.forbidden_urls import forbidden_urls
from tests.servers.child import recording

PAGE = (Path(__file__).parent / "pages" / "corpus.html").read_text()
PUBLIC = "8.8.8.8"
PORTS = (80, 443, 8080, 8222, 11211)
PAGE_PORT = 8000
EVERYTHING = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))

reached: set[str] = set()
tried = threading.Event()


class Everywhere(ThreadingHTTPServer):
    """Listens on every address, and keeps those that somebody connected to."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("::", port), Handler)  # IPv4 as well, unless the system says otherwise
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def verify_request(self, request: object, _: object) -> bool:
        assert isinstance(request, socket.socket)
        host, port, *_ = request.getsockname()
        if port != PAGE_PORT:
            address = IPv6Address(host)
            reached.add(str(address.ipv4_mapped or address))
        return True

    def handle_error(self, *_: object) -> None:
        """A browser that breaks off, or speaks TLS, is none."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/tried":
            tried.set()
        rows = json.dumps([*forbidden_urls(), f"http://{PUBLIC}/"]).replace("<", "\\u003c")
        body = PAGE.replace("ROWS", rows).encode() if self.path == "/corpus.html" else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main(allowed: str) -> None:
    """Record until the page has tried everything."""
    for port in (PAGE_PORT, *PORTS):
        Everywhere(port)
    networks = EVERYTHING if allowed == "everything" else ()
    url = f"http://1.2.3.4:{PAGE_PORT}/corpus.html"
    with recording(url, 200, stage={"allowed_networks": networks}) as child:
        child.await_start()
        assert tried.wait(120), "the page did not get to the end of its URLs"
    print(json.dumps(sorted(reached)))


if __name__ == "__main__":
    main(sys.argv[1])
