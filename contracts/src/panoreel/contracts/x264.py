"""What decides x264's parameter sets: whoever encodes pictures for a task writes the same SPS and PPS."""

from collections.abc import Mapping
from typing import Final

from panoreel.contracts.media import EncoderParameters

_LEVELS: Final = (
    ("3.1", 108_000, 3_600, 18_000, 17_500_000),
    ("3.2", 216_000, 5_120, 20_480, 25_000_000),
    ("4.0", 245_760, 8_192, 32_768, 25_000_000),
    ("4.2", 522_240, 8_704, 34_816, 62_500_000),
    ("5.0", 589_824, 22_080, 110_400, 168_750_000),
    ("5.1", 983_040, 36_864, 184_320, 300_000_000),
    ("5.2", 2_073_600, 36_864, 184_320, 300_000_000),
    ("6.0", 4_177_920, 139_264, 696_320, 300_000_000),
)
"""Level, macroblocks per second, per frame and per decoded picture buffer, bits per second in High profile:
ITU-T H.264, tables A-1 and A-2.

It begins at 3.1 because the lower levels' bit rates are too small for a constant quality.
"""

PEAK: Final = 1.5
"""How far a bit rate, which is kept in the mean, may be exceeded for a while."""


def coded_size(parameters: EncoderParameters) -> tuple[int, int]:
    """Width and height of the coded picture: 4:2:0 holds only even ones (ITU-T H.264, 6.2)."""
    return parameters.width + parameters.width % 2, parameters.height + parameters.height % 2


def level(parameters: EncoderParameters) -> str:
    """The lowest level that holds picture size, frame rate, reference frames and bit rate."""
    width, height = coded_size(parameters)
    macroblocks = -(-width // 16) * -(-height // 16)
    peak = (parameters.bitrate or 0) * PEAK
    for name, per_s, per_frame, buffered, bits_per_s in _LEVELS:
        if (
            macroblocks * parameters.fps <= per_s
            and macroblocks <= per_frame
            and macroblocks * parameters.reference_frames <= buffered
            and peak <= bits_per_s
        ):
            return name
    raise ValueError(f"no H.264 level holds {parameters}")


def options(parameters: EncoderParameters, preset: str, neutral: Mapping[str, object]) -> dict[str, str]:
    """Options of FFmpeg's libx264, for the same SPS and PPS whatever the `preset`.

    Whatever a preset may change in those headers is given explicitly. The psychovisual options are among
    it: x264 makes up for them in the PPS's `chroma_qp_index_offset`. There is no lookahead, and there are no
    B-frames. `neutral` are options of x264's own that reach no header, such as its rate control.
    """
    x264 = {
        "stitchable": 1,
        "level": level(parameters),
        "ref": parameters.reference_frames,
        "bframes": 0,
        "cabac": int(parameters.cabac),
        "8x8dct": int(parameters.transform_8x8),
        "weightp": parameters.weighted_prediction,
        "psy-rd": "0,0",
        "colorprim": "bt709",
        "transfer": "bt709",
        "colormatrix": "bt709",
        "range": "tv",
        "force-cfr": 0,
        "keyint": "infinite",
        "scenecut": 0,
        "open-gop": 0,
        "rc-lookahead": 0,
        "sync-lookahead": 0,
        "mbtree": 0,
        **neutral,
    }
    return {
        "preset": preset,
        "profile": parameters.profile,
        "forced-idr": "1",
        "x264-params": ":".join(f"{name}={value}" for name, value in x264.items()),
    }
