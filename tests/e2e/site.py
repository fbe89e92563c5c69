"""The web site that is recorded: test pages, media made on the fly, and everything that can go wrong."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

PAGES = Path(__file__).parent / "pages"
FPS = 30
WIDTH, HEIGHT = 1280, 720


def make_moving_video(path: Path, *, seconds: int) -> None:
    """Bars that move, and 1 kHz."""
    x = np.arange(WIDTH)

    def picture(number: int) -> NDArray[np.uint8]:
        bars = (np.sin((x + 8 * number) / 40) * 100 + 128).astype(np.uint8)
        return np.tile(np.stack([bars, bars, 255 - bars], axis=1), (HEIGHT, 1, 1))

    _make_video(path, seconds, picture, lambda _: np.float64(0.3))


def make_flashing_video(path: Path, *, seconds: int) -> None:
    """From the first second on, a white picture and 1 kHz for a fifth of each second."""

    def picture(number: int) -> NDArray[np.uint8]:
        on = number >= FPS and number % FPS < FPS / 5
        return np.full((HEIGHT, WIDTH, 3), 235 if on else 16, np.uint8)

    _make_video(path, seconds, picture, lambda time: 0.5 * ((time >= 1) & (time % 1 < 0.2)))


def _make_video(
    path: Path,
    seconds: int,
    picture: Callable[[int], NDArray[np.uint8]],
    volume: Callable[[NDArray[np.float64]], np.float64 | NDArray[np.floating]],
) -> None:
    """An H.264 and AAC file, with 1 kHz in both channels at a volume that depends on the time."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="stereo")
        time = np.arange(seconds * 48_000) / 48_000
        wave = (volume(time) * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
        for number in range(seconds * FPS):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(video.encode(frame))
        for start in range(0, len(wave), 1024):
            stereo = np.stack([wave[start : start + 1024]] * 2)
            block = av.AudioFrame.from_ndarray(stereo, format="fltp", layout="stereo")
            block.rate, block.pts = 48_000, start
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


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
