"""H.264 for a recording: an x264 encoder whose parameter sets depend on `EncoderParameters` alone."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from av import VideoFrame
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.plane import VideoPlane
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from numpy.typing import NDArray

from panoreel.contracts import x264
from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.bands import Bands

PRESETS: Final = ("fast", "veryfast", "superfast", "ultrafast")
"""From the best, which is for still pages, to the cheapest; each may follow on any other."""

_EFFORT: Final[Mapping[str, Mapping[str, object]]] = {
    "veryfast": {"subme": 1, "me": "dia"},
    "superfast": {"subme": 0},
}
"""What is changed in a preset, all of it header-neutral. Most of a page stands still or moves by whole
pixels: searching between pixels costs a quarter of the time, and saves a few per cent of the bytes."""

_CRF_OF_MOVING_PAGES: Final = 3
"""x264 means its scale for encoders that look ahead (`mbtree`) and save bits on what soon changes. Without,
the same number gives up to twice the bytes; this much more gives about the quality that is meant. On a still
page nothing changes soon, and its number is right."""

_BUFFER_S: Final = 2
"""A bit rate is kept in the mean. It may rise to the peak, and beyond by what a buffer of so long holds."""

_ONE_THREAD_PIXELS_PER_S: Final = 1920 * 1080 * 30
"""Up to this rate one thread keeps up, and costs less in sum than two that share each picture."""

_REACH: Final = 2
"""Rows above and below a pair of rows whose colours it changes: 4:2:0 is scaled from more than two."""

_MARGIN: Final = 8
"""Rows above and below that are converted as well, for the scaler treats the edges differently."""

_AVCOL_SPC_BT709: Final = 1
"""libavutil's number, which is not that of the scaler's `Colorspace.ITU709`."""


def configure(codec: VideoCodecContext, parameters: EncoderParameters, preset: str) -> None:
    """Set up an unopened libx264 `codec`, which then writes the same SPS and PPS whatever the preset.

    There is no lookahead, and there are no B-frames: both would delay the sealing of segments. x264 holds
    back exactly one picture, since rate control needs to know how long each is shown. Threads by frame
    would hold back more of them, for seconds on a still page: when one thread is too slow, two share each
    picture.
    """
    width, height = x264.coded_size(parameters)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    codec.colorspace, codec.color_range = _AVCOL_SPC_BT709, ColorRange.MPEG
    codec.flags |= Flags.global_header
    codec.thread_count = 1 if width * height * parameters.fps <= _ONE_THREAD_PIXELS_PER_S else 2
    neutral = {
        "sliced-threads": int(codec.thread_count > 1),
        **_EFFORT.get(preset, {}),
        **_rate(parameters, preset),
    }
    codec.options = x264.options(parameters, preset, neutral)


def _rate(parameters: EncoderParameters, preset: str) -> Mapping[str, object]:
    """x264's rate control, in kbit. Without `nal-hrd` no header tells of it."""
    if parameters.bitrate is None:
        raised = 0 if preset == PRESETS[0] else _CRF_OF_MOVING_PAGES
        return {"crf": min(51, parameters.crf + raised)}
    kbit_s = max(1, parameters.bitrate // 1000)
    peak = {"vbv-maxrate": int(kbit_s * x264.PEAK), "vbv-bufsize": kbit_s * _BUFFER_S}
    return {"bitrate": kbit_s, "ratetol": 0.5, **peak}


class PictureConverter:
    """Turns BGRA pictures into what the encoder takes: I420, BT.709, limited range, even size.

    An odd edge is repeated.
    """

    def __init__(self, parameters: EncoderParameters) -> None:
        self._shape = (parameters.height, parameters.width, 4)
        self._reformatter = VideoReformatter()
        self._frame: VideoFrame | None = None

    def convert(self, picture: NDArray[np.uint8], changed: Bands | None = None) -> VideoFrame:
        """The frame for a (height, width, 4) `picture` with contiguous rows, which is not kept.

        It is good until the next call, for which only the `changed` rows are read; None stands for all.
        Raises `ValueError` for another shape.
        """
        if picture.shape != self._shape:
            raise ValueError(f"a picture of shape {self._shape} was expected, not {picture.shape}")
        if self._frame is None or changed is None or changed == ((0, self._shape[0]),):
            self._frame = self._converted(picture)
        else:
            for top, bottom in changed:
                self._renew(self._frame, picture, top, bottom)
        return self._frame

    def _renew(self, frame: VideoFrame, picture: NDArray[np.uint8], top: int, bottom: int) -> None:
        """Convert a band of rows, and so much around it as the scaler of the colours looks at."""
        first = max(0, top - _MARGIN)
        band = self._converted(picture[first : bottom + _MARGIN])
        top, bottom = max(0, top - _REACH), min(bottom + _REACH, frame.height)
        for target, source, rows in zip(frame.planes, band.planes, (1, 2, 2), strict=True):
            renewed = _rows(source)[(top - first) // rows : (bottom - first) // rows]
            _rows(target)[top // rows : bottom // rows, : target.width] = renewed[:, : target.width]

    def _converted(self, picture: NDArray[np.uint8]) -> VideoFrame:
        padding = ((0, len(picture) % 2), (0, self._shape[1] % 2), (0, 0))
        if any(after for _, after in padding):
            picture = np.pad(picture, padding, mode="edge")
        return self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(picture, format="bgra"),
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            # The mean of the pixels that share a colour: nothing wider is sharper, and this takes least time.
            interpolation=Interpolation.AREA,
            threads=1,
        )


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
