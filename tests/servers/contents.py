"""What a web site may hold beside pages: media and documents, made on the fly."""

import io
from fractions import Fraction

import av
import numpy as np

RATE = 48_000
SECONDS = 8
WIDTH, HEIGHT = 640, 360

VIDEO_HZ, AUDIO_HZ = 1000, 1500
DOWNLOAD = b"downloaded"


def files() -> dict[str, bytes]:
    """A blue picture in several forms, sound, a document of a red and a green page, and something else."""
    return {
        "/clip.mp4": _clip("mp4", "libx264", "aac"),
        "/clip.webm": _clip("webm", "libvpx", "libopus"),
        "/tone.mp3": _tone(),
        "/picture.png": _picture(),
        "/document.pdf": _document(),
        "/file.bin": DOWNLOAD,
    }


def _blue() -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), (0, 0, 255), np.uint8), "rgb24")


def _wave(frequency_hz: float) -> av.AudioFrame:
    time = np.arange(SECONDS * RATE) / RATE
    wave = (0.3 * np.sin(2 * np.pi * frequency_hz * time)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
    return frame


def _clip(form: str, video_codec: str, audio_codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        video = container.add_stream(video_codec, rate=10)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream(audio_codec, rate=RATE, layout="stereo")
        assert isinstance(audio, av.AudioStream)
        for _ in range(10 * SECONDS):
            container.mux(video.encode(_blue()))
        container.mux(video.encode(None))
        _mux_sound(container, audio, VIDEO_HZ)
    return file.getvalue()


def _tone() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        _mux_sound(container, container.add_stream("libmp3lame", rate=RATE, layout="stereo"), AUDIO_HZ)
    return file.getvalue()


def _mux_sound(container: av.container.OutputContainer, stream: av.AudioStream, frequency_hz: float) -> None:
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout="stereo", rate=RATE, frame_size=stream.frame_size or 960
    )
    for frame in resampler.resample(_wave(frequency_hz)) + resampler.resample(None):
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _picture() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
        container.mux(stream.encode(_blue()))
        container.mux(stream.encode(None))
    return file.getvalue()


def _document() -> bytes:
    """Two pages of A4 (ISO 32000-1)."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R 5 0 R]/Count 2>>"]
    for number, color in ((4, "1 0 0"), (6, "0 1 0")):
        drawing = f"{color} rg 0 0 595 842 re f"
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {number} 0 R/Resources<<>>>>"
        )
        objects.append(f"<</Length {len(drawing)}>>stream\n{drawing}\nendstream")
    content, offsets = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(content))
        content += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count, start = len(objects) + 1, len(content)
    content += f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer<</Size {count}/Root 1 0 R>>\n"
    return f"{content}startxref\n{start}\n%%EOF".encode()
