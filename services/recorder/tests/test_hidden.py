"""Nothing that a page does puts anything over the page but what it draws itself."""

import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from panoreel.recorder.protocol import Refresh, Refreshed, SegmentSealed, Stop
from tests.servers.child import Child, pictures, recording
from tests.servers.pages import serve_pages

BLUE = "<body style='background: blue; margin: 0'><script>setTimeout(() => { SCRIPT }, 300)</script>"

LOGIN = """<style>* { background: blue; color: blue; border: 0; outline: 0 }</style>
    <form action=/in>
        <input name=user value=bob autocomplete=username><input name=word type=password value=hunter2><button>
    </form>
    <script>setTimeout(() => document.querySelector('button').click(), 1500)</script>"""


def shown(child: Child) -> list[NDArray[np.uint8]]:
    """All that a child of 640x360 pixels records until it ends."""
    segments = [report for report in child.reports() if isinstance(report, SegmentSealed)]
    assert child.process.returncode == 0
    return [picture[:360, :640] for segment in segments for picture in pictures(segment.path)]


@pytest.mark.parametrize(
    "script",
    [
        "location.href = 'mailto:a@example.com'",
        "location.href = 'tel:123'",
        "setInterval(() => open('about:blank', '', 'width=300,height=200'), 50)",
        "setInterval(() => { alert('a'); confirm('b'); prompt('c'); print(); }, 50)",
        "onbeforeunload = () => 'stay'; addEventListener('beforeunload', event => event.preventDefault()); "
        "location.reload()",
        "const i = document.createElement('input'); i.type = 'file'; i.click(); i.showPicker()",
        "showOpenFilePicker()",
        # What asks the user for something, side by side.
        """for (const ask of [
            () => navigator.mediaDevices.getDisplayMedia(),
            () => navigator.mediaDevices.getUserMedia({video: true, audio: true}),
            () => Notification.requestPermission(),
            () => navigator.geolocation.getCurrentPosition(() => {}),
            () => document.body.requestPointerLock(),
            () => document.documentElement.requestFullscreen(),
            () => new PaymentRequest([{supportedMethods: 'https://google.com/pay'}],
                {total: {label: 'x', amount: {currency: 'USD', value: '1'}}}).show(),
            () => navigator.usb.requestDevice({filters: []}),
        ]) try { ask() } catch {}""",
        "document.execCommand('print')",
        "fetch('/private')",
        "document.body.innerHTML = '<iframe src=/private style=opacity:0>'",
    ],
)
def test_only_the_page_is_to_be_seen(script: str) -> None:
    with serve_pages() as site:
        site.pages["/"] = BLUE.replace("SCRIPT", script)
        with recording(f"{site.address}/", 2) as child:
            for picture in shown(child):
                assert np.abs(picture.astype(int) - (0, 0, 255)).max() <= 8


def test_a_login_is_not_offered_to_be_kept() -> None:
    with serve_pages() as site:
        site.pages |= {"/": LOGIN, "/in": "<body style='background: blue; color: blue'>Welcome"}
        with recording(f"{site.address}/", 5) as child:
            for picture in shown(child):
                assert np.abs(picture.astype(int) - (0, 0, 255)).max() <= 8
        assert site.asked("/in")


def test_a_media_file_shows_no_player(tmp_path: Path) -> None:
    """Neither when it is opened nor when it is loaded again: it is blue, and black before."""
    with av.open(str(tmp_path / "clip.mp4"), "w") as clip:
        stream = clip.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        blue = np.full((360, 640, 3), (0, 0, 255), np.uint8)
        for _ in range(30):
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(blue, "rgb24")))
        clip.mux(stream.encode())
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)
    ) as server:
        Thread(target=server.serve_forever).start()
        with recording(f"http://127.0.0.1:{server.server_port}/clip.mp4", 60) as child:
            child.await_start()
            for _ in range(3):
                child.tell(Refresh(record_url=None))
                assert child.await_report(Refreshed).failure is None
                time.sleep(0.5)  # of what it shows then, something must be captured
            child.tell(Stop())
            child.reports()
            found = [picture for path in child.order.spool.glob("*.mp4") for picture in pictures(path)]
        server.shutdown()
    assert len(found) > 5
    for picture in found:
        assert picture[:360, :640, :2].max() <= 24
    assert max(picture[180, 320, 2] for picture in found) > 240
