"""Run in a network namespace of its own: a recording whose page asks STUN servers on the given hosts."""

import asyncio
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from panoreel.recorder.udp import may_send_udp
from tests.servers.child import LOOPBACK, SERVICE_USER, recording

PAGE = """<script>onload = async () => {
    const asking = new RTCPeerConnection({iceServers: [{urls: [%s]}]});
    asking.createDataChannel('x');
    await asking.setLocalDescription(await asking.createOffer());
    await new Promise(done => setTimeout(done, 4000));
    await fetch('/asked');
}</script>"""


class Handler(BaseHTTPRequestHandler):
    """Serves the page, and hears that it has asked."""

    asked = threading.Event()
    page = b""

    def do_GET(self) -> None:
        if self.path == "/asked":
            self.asked.set()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        pass


def main(hosts: list[str]) -> None:
    """Record until the page has asked."""
    urls = [f"stun:[{host}]:5000" if ":" in host else f"stun:{host}:5000" for host in hosts]
    Handler.page = (PAGE % ", ".join(map(repr, urls))).encode()
    assert asyncio.run(may_send_udp("filtered", SERVICE_USER, LOOPBACK))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with recording(
            f"http://127.0.0.1:{server.server_address[1]}/", 60, stage={"webrtc_udp": True}
        ) as child:
            child.await_start()
            assert Handler.asked.wait(40)
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
