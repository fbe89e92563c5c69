"""The web site that is recorded: test pages, media made on the fly, and everything that can go wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np

PAGES = Path(__file__).parent / "pages"
FPS = 30


def make_video(path: Path, *, seconds: int, width: int = 1280, height: int = 720) -> None:
    """An H.264 and AAC file: moving bars, and 1 kHz on both channels."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="stereo")
        x = np.arange(width)
        for number in range(seconds * FPS):
            bars = (np.sin((x + 8 * number) / 40) * 100 + 128).astype(np.uint8)
            picture = np.repeat(np.repeat(bars[None, :, None], height, axis=0), 3, axis=2)
            picture[:, :, 2] = 255 - picture[:, :, 2]
            for packet in video.encode(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            ):
                container.mux(packet)
        time = np.arange(seconds * 48_000) / 48_000
        wave = (0.3 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
        for start in range(0, len(wave), 1024):
            block = av.AudioFrame.from_ndarray(
                np.stack([wave[start : start + 1024]] * 2), format="fltp", layout="stereo"
            )
            block.rate = 48_000
            block.pts = start
            for packet in audio.encode(block):
                container.mux(packet)
        for stream in (video, audio):
            for packet in stream.encode(None):
                container.mux(packet)


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, media: Path, **kwargs: object) -> None:
        self._media = media
        super().__init__(*args, directory=str(PAGES), **kwargs)  # type: ignore[arg-type]  # passed through

    def translate_path(self, path: str) -> str:
        if path.startswith("/media/"):
            return str(self._media / Path(path.partition("?")[0]).name)
        return super().translate_path(path)

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
