"""Pictures as the encoder takes them: I420, BT.709, limited range (ITU-R BT.709-6, item 3 and 4)."""

import logging
from ctypes import c_int32
from typing import Final

import numpy as np
from av import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from panoreel.contracts import x264
from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.bands import Bands
from panoreel.recorder.orc import Loops, OrcUnavailable, Rows

log = logging.getLogger(__name__)

_COLOURS: Final = """
.function weigh
.flags 2d
.dest 1 weighed guint8
.source 4 bgra guint32
.const 4 odd_bytes 0xff00ff00
.param 4 inverted
.param 4 b_r
.param 4 g
.param 4 offset
.temp 4 pixel
.temp 4 greens
.temp 4 weights_b_r
.temp 4 weights_g
.temp 2 narrow
loadpl weights_b_r, b_r
loadpl weights_g, g
xorl pixel, bgra, inverted
andl greens, pixel, odd_bytes
shll pixel, pixel, 8
andl pixel, pixel, odd_bytes
x2 mulhuw pixel, pixel, weights_b_r
x2 mulhuw greens, greens, weights_g
x2 addw pixel, pixel, greens
shll greens, pixel, 16
addl pixel, pixel, greens
addl pixel, pixel, offset
shrul pixel, pixel, 24
convssslw narrow, pixel
convsuswb weighed, narrow

.function halve
.flags 2d
.dest 4 mean guint32
.source 8 upper guint64
.source 8 lower guint64
.temp 4 upper_left
.temp 4 upper_right
.temp 4 lower_left
.temp 4 lower_right
splitql upper_right, upper_left, upper
splitql lower_right, lower_left, lower
x4 avgub upper_left, upper_left, lower_left
x4 avgub upper_right, upper_right, lower_right
x4 avgub mean, upper_left, upper_right
"""
"""`weigh` is the sum of a pixel's weighted colours, in 256ths of a level, and an offset. Colours in the upper
bytes of words are multiplied by weights in 65536ths. The sum is made in the upper half of 32 bits: red is
there already, blue and green are added from the lower half. `halve` is the mean of four pixels."""


def _weights(red: float, green: float, blue: float) -> dict[str, int]:
    """Parameters of `weigh`, for what each colour adds to a level at its full 255.

    Words have no sign: a colour that is to be subtracted is inverted, and its whole weight is in the offset.
    """
    colours = (blue, green, red)
    inverted = bytes(255 if weight < 0 else 0 for weight in colours)
    b, g, r = (round(abs(weight) / 255 * 65536) for weight in colours)
    half, truncated = 128, 1
    offset = 256 * 16 + half + truncated
    return {
        "inverted": int.from_bytes(inverted, "little"),
        "b_r": _pair(b, r),
        "g": _pair(g, 0),
        "offset": _pair(0, offset),
    }


def _pair(lower: int, upper: int) -> int:
    """Two words in 32 bits, as Orc takes them: signed."""
    return c_int32(upper << 16 | lower).value


_R, _G, _B = 0.2126, 0.7152, 0.0722
_LUMA: Final = _weights(219 * _R, 219 * _G, 219 * _B)
_CHROMA: Final = (
    _weights(-112 * _R / (1 - _B), -112 * _G / (1 - _B), 112),
    _weights(112, -112 * _G / (1 - _R), -112 * _B / (1 - _R)),
)
"""Y', C'B and C'R of BT.709: 219 levels above 16, and 112 on either side of 128."""


class PictureConverter:
    """Turns BGRA pictures into what the encoder takes: I420, even size. An odd edge is repeated."""

    def __init__(self, parameters: EncoderParameters) -> None:
        self._shape = (parameters.height, parameters.width, 4)
        self._frame = VideoFrame(*x264.coded_size(parameters), "yuv420p")
        self._is_empty = True
        self._reformatter = VideoReformatter()
        self._half = np.empty((self._frame.height // 2, self._frame.width // 2, 4), np.uint8)
        self._loops: Loops | None = None
        try:
            self._loops = Loops(_COLOURS)
        except OrcUnavailable as error:
            log.warning("colours are converted by libswscale, which takes three times as long: %s", error)

    def convert(self, picture: NDArray[np.uint8], changed: Bands | None = None) -> VideoFrame:
        """The frame for a (height, width, 4) `picture` with contiguous rows, which is not kept.

        It is good until the next call, for which only the `changed` rows are read; None stands for all.
        Raises `ValueError` for another shape.
        """
        if picture.shape != self._shape:
            raise ValueError(f"a picture of shape {self._shape} was expected, not {picture.shape}")
        if self._loops is None:
            self._frame = self._scaled(_even(picture))
            return self._frame
        if changed is None or self._is_empty:
            changed, self._is_empty = ((0, len(picture)),), False
        for top, bottom in changed:
            self._renew(self._loops, _even(picture[top:bottom]), top)
        return self._frame

    def _renew(self, loops: Loops, band: NDArray[np.uint8], top: int) -> None:
        """Convert an even number of rows, from the even row `top` on."""
        height, width, _ = band.shape
        luma, *chroma = self._frame.planes
        above = Rows(band.ctypes.data, band.strides[0])
        loops.run("weigh", (width, height), {"bgra": above, "weighed": _rows(luma, top), **_LUMA})
        size = width // 2, height // 2
        half = Rows(self._half.ctypes.data, self._half.strides[0])
        upper = Rows(above.address, 2 * above.stride)
        lower = Rows(above.address + above.stride, 2 * above.stride)
        loops.run("halve", size, {"upper": upper, "lower": lower, "mean": half})
        for plane, weights in zip(chroma, _CHROMA, strict=True):
            loops.run("weigh", size, {"bgra": half, "weighed": _rows(plane, top // 2), **weights})

    def _scaled(self, picture: NDArray[np.uint8]) -> VideoFrame:
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


def _even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = picture.shape
    if height % 2 == width % 2 == 0:
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _rows(plane: VideoPlane, first: int) -> Rows:
    return Rows(plane.buffer_ptr + first * plane.line_size, plane.line_size)
