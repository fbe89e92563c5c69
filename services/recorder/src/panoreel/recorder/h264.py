"""H.264 for a recording: an x264 encoder whose parameter sets depend on `EncoderParameters` alone."""

from typing import Final

import numpy as np
from av import VideoFrame
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from numpy.typing import NDArray

from panoreel.contracts.media import EncoderParameters

_LEVELS: Final = (
    ("3.1", 108_000, 3_600, 18_000),
    ("3.2", 216_000, 5_120, 20_480),
    ("4.0", 245_760, 8_192, 32_768),
    ("4.2", 522_240, 8_704, 34_816),
    ("5.0", 589_824, 22_080, 110_400),
    ("5.1", 983_040, 36_864, 184_320),
    ("5.2", 2_073_600, 36_864, 184_320),
    ("6.0", 4_177_920, 139_264, 696_320),
)
"""Level, macroblocks per second, per frame and per decoded picture buffer: ITU-T H.264, table A-1.

It begins at 3.1 because the lower levels' bit rates are too small for a constant quality.
"""

_ONE_THREAD_PIXELS_PER_S: Final = 1920 * 1080 * 30
"""Up to this rate one thread keeps up, and costs less in sum than two that share each picture."""

_AVCOL_SPC_BT709: Final = 1
"""libavutil's number, which is not that of the scaler's `Colorspace.ITU709`."""


def coded_size(parameters: EncoderParameters) -> tuple[int, int]:
    """Width and height of the coded picture: 4:2:0 holds only even ones (ITU-T H.264, 6.2)."""
    return parameters.width + parameters.width % 2, parameters.height + parameters.height % 2


def level(parameters: EncoderParameters) -> str:
    """The lowest level that holds the picture size, the frame rate and the reference frames."""
    width, height = coded_size(parameters)
    macroblocks = -(-width // 16) * -(-height // 16)
    for name, per_s, per_frame, buffered in _LEVELS:
        if (
            macroblocks * parameters.fps <= per_s
            and macroblocks <= per_frame
            and macroblocks * parameters.reference_frames <= buffered
        ):
            return name
    raise ValueError(f"no H.264 level holds {parameters}")


def configure(codec: VideoCodecContext, parameters: EncoderParameters, preset: str) -> None:
    """Set up an unopened libx264 `codec`, which then writes the same SPS and PPS whatever the preset.

    Whatever a preset may change in those headers is given explicitly. The psychovisual options are among
    it: x264 makes up for them in the PPS's `chroma_qp_index_offset`.

    There is no lookahead, and there are no B-frames: both would delay the sealing of segments. x264 holds
    back exactly one picture, since rate control needs to know how long each is shown. Threads by frame
    would hold back more of them, for seconds on a still page: when one thread is too slow, two share each
    picture.
    """
    width, height = coded_size(parameters)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    codec.colorspace, codec.color_range = _AVCOL_SPC_BT709, ColorRange.MPEG
    codec.flags |= Flags.global_header
    codec.thread_count = 1 if width * height * parameters.fps <= _ONE_THREAD_PIXELS_PER_S else 2
    x264 = {
        "stitchable": 1,
        "level": level(parameters),
        "ref": parameters.reference_frames,
        "bframes": 0,
        "cabac": int(parameters.cabac),
        "8x8dct": int(parameters.transform_8x8),
        "weightp": parameters.weighted_prediction,
        "psy-rd": "0,0",
        "force-cfr": 0,
        "keyint": "infinite",
        "scenecut": 0,
        "open-gop": 0,
        "rc-lookahead": 0,
        "sync-lookahead": 0,
        "mbtree": 0,
        "sliced-threads": int(codec.thread_count > 1),
    }
    codec.options = {
        "preset": preset,
        "profile": parameters.profile,
        "crf": str(parameters.crf),
        "forced-idr": "1",
        "x264-params": ":".join(f"{name}={value}" for name, value in x264.items()),
    }


class PictureConverter:
    """Turns BGRA pictures into what the encoder takes: I420, BT.709, limited range, even size."""

    def __init__(self, parameters: EncoderParameters) -> None:
        self._shape = (parameters.height, parameters.width, 4)
        self._padding = ((0, parameters.height % 2), (0, parameters.width % 2), (0, 0))
        self._reformatter = VideoReformatter()

    def convert(self, picture: NDArray[np.uint8]) -> VideoFrame:
        """The frame for a (height, width, 4) `picture` with contiguous rows, which is not kept.

        An odd edge is repeated. Raises `ValueError` for another shape.
        """
        if picture.shape != self._shape:
            raise ValueError(f"a picture of shape {self._shape} was expected, not {picture.shape}")
        if any(after for _, after in self._padding):
            picture = np.pad(picture, self._padding, mode="edge")
        return self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(picture, format="bgra"),
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
