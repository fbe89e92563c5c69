"""How many bytes a recording takes, against x264's preset veryfast, where both look equally good."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from panoreel.bench import media, recorder
from panoreel.bench.recorder import PICTURE, Recording
from panoreel.bench.site import Site
from panoreel.bench.ssim import luma_of, ssim
from panoreel.contracts.media import VIDEO_TIMESCALE
from panoreel.recorder import h264
from panoreel.recorder.encoder import SegmentEncoder
from panoreel.recorder.pressure import effort

REFERENCE_CRF: Final = 23
CRF_STEP: Final = 3
COMPARED_EVERY_S: Final = 1 / 3
"""The first picture is compared in each such span of time, so that all pictures of a still page are."""

Bgra = NDArray[np.uint8]


async def measure(site: Site, page: str, seconds: float) -> dict[str, Any]:
    """`{"bytes_ratio", …}`: the page is recorded nearly without loss, then encoded by either encoder."""
    found: dict[str, Any] = await recorder.record(
        site.url(page), seconds, _compare, PICTURE.model_copy(update={"crf": 1})
    )
    return found


def _compare(recording: Recording) -> dict[str, Any]:
    source = recording.files
    with tempfile.TemporaryDirectory(prefix="panoreel-bench-") as directory:
        ours = _encode_ours(source, Path(directory))
        our_bytes, our_ssim, keyframes = _video_bytes(ours), _likeness(source, ours), _keyframes(ours)
        curve: dict[int, tuple[int, float]] = {}
        crf: int | None = REFERENCE_CRF
        while crf is not None:
            file = Path(directory) / f"{crf}.mp4"
            _encode_reference(source, file, crf, keyframes)
            curve[crf] = (_video_bytes([file]), _likeness(source, [file]))
            crf = next_crf(our_ssim, curve)
    return {
        "bytes_ratio": round(our_bytes / bytes_at(our_ssim, list(curve.values())), 3),
        "ours": {"bytes": our_bytes, "ssim": round(our_ssim, 5)},
        "reference": {
            f"crf{crf}": {"bytes": size, "ssim": round(likeness, 5)}
            for crf, (size, likeness) in sorted(curve.items())
        },
    }


def next_crf(likeness: float, curve: Mapping[int, tuple[int, float]]) -> int | None:
    """The CRF to be tried next until the curve, bytes and SSIM by CRF, lies on both sides of an SSIM."""
    best, worst = min(curve), max(curve)
    if curve[best][1] < likeness and best > CRF_STEP:
        return best - CRF_STEP
    if curve[worst][1] > likeness and worst + CRF_STEP <= 51:
        return worst + CRF_STEP
    return None


def bytes_at(likeness: float, curve: Sequence[tuple[int, float]]) -> float:
    """The bytes that a reference would need for this SSIM.

    Between the points of its curve, bytes and SSIM: logarithmic in both the bytes and the distance from 1.
    """
    points = sorted((np.log(1 - ssim), np.log(size)) for size, ssim in curve)
    distances, sizes = zip(*points, strict=True)
    return float(np.exp(np.interp(np.log(1 - likeness), distances, sizes)))


def _pictures(source: Sequence[Path]) -> Iterator[tuple[int, Bgra]]:
    """What was recorded, as it was before: time stamps in ticks, and BGRA of shape (height, width, 4)."""
    reformatter = VideoReformatter()
    for file in source:
        with av.open(str(file)) as container:
            for frame in container.decode(video=0):
                assert frame.time is not None
                bgra = reformatter.reformat(
                    frame,
                    format="bgra",
                    src_colorspace=Colorspace.ITU709,
                    dst_colorspace=Colorspace.ITU709,
                    src_color_range=ColorRange.MPEG,
                    dst_color_range=ColorRange.JPEG,
                )
                yield round(frame.time * VIDEO_TIMESCALE), bgra.to_ndarray().astype(np.uint8, copy=False)


def _encode_ours(source: Sequence[Path], directory: Path) -> list[Path]:
    partial, spool = directory / "partial", directory / "spool"
    partial.mkdir()
    spool.mkdir()
    sealed: list[Path] = []
    encoder = SegmentEncoder(
        PICTURE,
        epoch=1,
        partial=partial,
        spool=spool,
        wall_clock=lambda _: datetime.now(UTC),
        on_sealed=lambda path, _: sealed.append(path),
    )
    pts = 0
    for number, (pts, picture) in enumerate(_pictures(source)):
        if pts >= VIDEO_TIMESCALE:  # as the recorder does when it has seen a second
            encoder.set_preset(h264.PRESETS[effort(number * VIDEO_TIMESCALE / pts)])
        encoder.video(picture, pts)
    encoder.close(pts + VIDEO_TIMESCALE // PICTURE.fps)
    return sealed


def _encode_reference(source: Sequence[Path], file: Path, crf: int, keyframes: set[int]) -> None:
    """By libx264 with nothing but its preset, a CRF, and keyframes where ours are."""
    timescale = {"video_track_timescale": str(VIDEO_TIMESCALE)}
    with av.open(str(file), "w", container_options=timescale) as container:
        options = {"preset": "veryfast", "crf": str(crf), "forced-idr": "1"}
        stream = container.add_stream("libx264", rate=PICTURE.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = PICTURE.width, PICTURE.height, "yuv420p"
        stream.codec_context.gop_size = 10_000
        stream.codec_context.time_base = Fraction(1, VIDEO_TIMESCALE)
        reformatter = VideoReformatter()
        for pts, picture in _pictures(source):
            frame = reformatter.reformat(
                av.VideoFrame.from_ndarray(picture, format="bgra"),
                format="yuv420p",
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base = pts, Fraction(1, VIDEO_TIMESCALE)
            frame.pict_type = PictureType.I if pts in keyframes else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _packets(files: Sequence[Path]) -> Iterator[tuple[float, int, bool]]:
    """Time in seconds, bytes, and whether it is a keyframe, of each coded picture."""
    for file in files:
        with av.open(str(file)) as container:
            for packet in container.demux(video=0):
                if packet.size and packet.pts is not None:
                    yield float(packet.pts * packet.time_base), packet.size, packet.is_keyframe


def _video_bytes(files: Sequence[Path]) -> int:
    return sum(size for _, size, _ in _packets(files))


def _keyframes(files: Sequence[Path]) -> set[int]:
    return {round(time_s * VIDEO_TIMESCALE) for time_s, _, is_keyframe in _packets(files) if is_keyframe}


def _likeness(source: Sequence[Path], coded: Sequence[Path]) -> float:
    """The mean SSIM of the luma of every so many pictures; both hold the same pictures in the same order.

    It is compared with what either encoder was given, not with what one of them made of its colours.
    """
    pairs = zip(_pictures(source), media.frames(coded), strict=True)
    found: dict[int, float] = {}
    for (pts, bgra), frame in pairs:
        span = int(pts / VIDEO_TIMESCALE / COMPARED_EVERY_S)
        if span not in found:
            found[span] = ssim(luma_of(bgra[:, :, 2::-1]), frame.luma.astype(float))
    return float(np.mean(list(found.values())))
