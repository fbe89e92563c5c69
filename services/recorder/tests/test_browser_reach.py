"""What a recorded page can reach: it tries every way that there is, to a place that counts who comes."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from pathlib import Path

import numpy as np
import pytest

from panoreel.reach.addresses import Networks
from panoreel.recorder.protocol import Failed, Refresh, SegmentSealed, Stop
from tests.servers.child import pictures, recording
from tests.servers.dns import serve_names

TRICKS = Path(__file__).parent / "pages" / "tricks.html"
ESCAPES = Path(__file__).parent / "pages" / "escapes.html"
NAMES = Path(__file__).parent / "pages" / "names.html"

OURS = (IPv4Network("127.0.0.1/32"),)
GREEN, WHITE = np.array([0, 128, 0]), np.array([255, 255, 255])
ALL = (IPv4Network("127.0.0.0/8"),)

BY_HTTP = {
    *("iframe", "img", "script", "stylesheet", "import", "background", "font", "video", "object", "embed"),
    *("fetch", "xhr", "beacon", "websocket", "eventsource", "worker-fetch", "worker-import"),
    *("service-worker-fetch", "prefetch", "preload", "ping", "form", "redirect", "meta-refresh"),
    *("popup", "frame-script"),
}


class Place(ThreadingHTTPServer):
    """An HTTP server that keeps the paths of its requests, and counts connections."""

    daemon_threads = True

    def __init__(self, host: str, port: int = 0) -> None:
        self.paths: list[str] = []
        self.connections = 0
        self.elsewhere = ""
        self.tried = threading.Event()
        super().__init__((host, port), Handler)

    @property
    def port(self) -> int:
        port: int = self.server_address[1]
        return port

    def verify_request(self, *_: object) -> bool:
        self.connections += 1
        return True

    def handle_error(self, *_: object) -> None:
        """A browser that breaks off is none."""


class Handler(BaseHTTPRequestHandler):
    server: Place

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path != "/favicon.ico":
            self.server.paths.append(path.strip("/"))
        if path.startswith("/redirect-to/"):
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere)
            self.end_headers()
            return
        pages = {"/tricks.html": TRICKS, "/escapes.html": ESCAPES, "/names.html": NAMES}
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        body = pages[path].read_bytes() if path in pages else b""
        if path == "/service-worker.js":
            body = b"onmessage = event => fetch(event.data, {mode: 'no-cors'})"
        if path.startswith("/tried"):
            self.server.tried.set()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def place(host: str, port: int = 0) -> Iterator[Place]:
    with Place(host, port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def udp_place(host: str, port: int) -> Iterator[list[bytes]]:
    """What comes in by UDP."""
    received: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((host, port))
        listening.settimeout(0.1)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    received.append(listening.recv(2000))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield received
        finally:
            ended.set()
            thread.join()


def await_trials(ours: Place) -> None:
    assert ours.tried.wait(60), "the page did not get to the end of its tricks"
    time.sleep(3)  # what was begun last, and STUN's repetitions


@pytest.mark.parametrize(("allowed", "udp"), [(OURS, False), (ALL, True)], ids=["forbidden", "allowed"])
def test_no_trick_leads_to_a_forbidden_address(allowed: Networks, udp: bool) -> None:
    """Where it is allowed, each trick works: so it is not the page that does not try."""
    with (
        place("127.0.0.1") as ours,
        place("127.0.0.2") as theirs,
        udp_place("127.0.0.2", theirs.port) as datagrams,
        udp_place("127.0.0.1", theirs.port) as named_datagrams,
    ):
        ours.elsewhere = f"http://127.0.0.2:{theirs.port}/redirect"
        url = f"http://127.0.0.1:{ours.port}/tricks.html?{theirs.port}"
        with recording(url, 120, stage={"allowed_networks": allowed, "webrtc_udp": udp}) as child:
            child.await_start()
            await_trials(ours)
        reached = set(theirs.paths) & BY_HTTP
        if allowed == OURS:
            assert theirs.connections == 0
            assert datagrams == []
            assert named_datagrams == []
        else:
            assert reached == BY_HTTP
            assert datagrams
            assert named_datagrams, "a STUN server's name was not looked up"


@pytest.mark.parametrize(
    ("elsewhere", "why"),
    [
        ("http://127.0.0.2:{port}/", "not public"),
        ("http://2130706434:{port}/", "not public"),
        ("http://[::ffff:127.0.0.2]:{port}/", "not public"),
        ("file:///etc/passwd", "ERR_UNSAFE_REDIRECT"),
        ("chrome://version/", "ERR_UNSAFE_REDIRECT"),
    ],
)
def test_a_redirect_leads_no_further(elsewhere: str, why: str) -> None:
    with place("127.0.0.1") as ours, place("127.0.0.2") as theirs:
        ours.elsewhere = elsewhere.format(port=theirs.port)
        with recording(
            f"http://127.0.0.1:{ours.port}/redirect-to/", 20, stage={"allowed_networks": OURS}
        ) as child:
            [failure] = child.reports()
        assert isinstance(failure, Failed)
        assert failure.permanent
        assert why in failure.message
        assert theirs.connections == 0


@pytest.mark.parametrize("allowed", [OURS, ALL], ids=["forbidden", "allowed"])
def test_no_name_leads_to_a_forbidden_address(allowed: Networks, tmp_path: Path) -> None:
    """The page's own name among them, which leads elsewhere once the page is there."""
    with (
        serve_names(tmp_path) as server,
        place("127.0.0.1") as ours,
        place("127.0.0.2", ours.port) as theirs,
    ):
        server.names = {
            "rebinding.test": ["127.0.0.1"],
            "forbidden.test": ["127.0.0.2"],
            "turning.test": ["127.0.0.1", "127.0.0.2"],
            "alias.test": ["CNAME localhost 127.0.0.2"],
            "mapped.test": ["::ffff:127.0.0.2"],
            "several.test": ["127.0.0.2 127.0.0.1"],
        }
        url = f"http://rebinding.test:{ours.port}/names.html"
        with recording(url, 120, within=server.within, stage={"allowed_networks": allowed}) as child:
            child.await_start()
            server.names["rebinding.test"] = ["127.0.0.2"]
            server.names["go-on.test"] = ["127.0.0.1"]  # the page waits for this
            await_trials(ours)
        assert set(server.asked) == set(server.names), "the browser asks for names of its own"
        reached = set(theirs.paths) - {"several"}
        if allowed == OURS:
            assert theirs.connections == 0
            assert {"turning-first", "several"} <= set(ours.paths)
        else:
            assert reached == {
                *("rebinding-fetch", "rebinding-iframe", "rebinding-websocket", "turning-fetch"),
                *(
                    "forbidden-iframe",
                    "forbidden-img",
                    "alias-iframe",
                    "alias-img",
                    "mapped-iframe",
                    "mapped-img",
                ),
            }


def test_a_name_of_a_forbidden_address_is_not_recorded(tmp_path: Path) -> None:
    with serve_names(tmp_path) as server, place("127.0.0.2") as theirs:
        server.names = {"forbidden.test": ["CNAME localhost 127.0.0.2 ::ffff:127.0.0.2"]}
        url = f"http://forbidden.test:{theirs.port}/"
        with recording(url, 20, within=server.within, stage={"allowed_networks": OURS}) as child:
            [failure] = child.reports()
        assert isinstance(failure, Failed)
        assert failure.permanent
        assert "not public" in failure.message
        assert "forbidden.test" in server.asked
        assert theirs.connections == 0


def test_a_page_cannot_leave_for_what_is_local() -> None:
    """It tries one way after the other, reads nothing there, and shows its own green or nothing at all."""
    with place("127.0.0.1") as ours:
        url = f"http://127.0.0.1:{ours.port}/escapes.html?"
        with recording(f"{url}0", 600, stage={"allowed_networks": OURS}) as child:
            child.await_start()
            number = 0
            while True:
                assert ours.tried.wait(30)
                ours.tried.clear()
                time.sleep(1)
                _, ways, read = ours.paths[-1].split("/")
                assert read == "0"
                number += 1
                if number == int(ways):
                    break
                child.tell(Refresh(record_url=f"{url}{number}"))
            child.tell(Stop())
            shown = [
                picture
                for report in child.reports()
                if isinstance(report, SegmentSealed)
                for picture in pictures(report.path)
            ]
    assert number > 10
    assert len(shown) > number
    for picture in shown:
        uniform = picture.astype(int) - picture[0, 0]
        assert abs(uniform).max() <= 12, "something is written there"
        assert any(abs(picture[0, 0].astype(int) - colour).max() <= 12 for colour in (GREEN, WHITE))
