"""H.264 for a recording: an x264 encoder whose parameter sets depend on `EncoderParameters` alone."""

from collections.abc import Mapping
from typing import Final

from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from panoreel.contracts import x264
from panoreel.contracts.media import EncoderParameters

PRESETS: Final = ("fast", "veryfast", "superfast", "ultrafast")
"""From the best, which is for still pages, to the cheapest; each may follow on any other."""

STILL: Final = PRESETS[0]
"""For pages that hardly move: they cost little, and x264 decides on the quality of each picture."""

_EFFORT: Final[Mapping[str, Mapping[str, object]]] = {
    "veryfast": {"subme": 1, "me": "dia", "deblock": "-2,-2"},
    "superfast": {"subme": 0, "deblock": "-2,-2"},
}
"""What is changed in a preset, all of it header-neutral. Most of a page stands still or moves by whole
pixels: searching between pixels costs a quarter of the time, and saves a few per cent of the bytes. The sharp
edges of a page are to stay: they are smoothed less."""

_QUANTIZER: Final = 5
"""By how much the quantizer of a page that moves exceeds the constant rate factor, for the likeness that
x264's preset veryfast has at that. With one for all, x264 need not look at each picture twice (ADR 15)."""

_KEY_RATIO: Final = 2.2
"""How much finer it is in key pictures: most of a page stands still, and is copied from there until the next.
With x264's 1.4, made for films, a busy page takes a tenth more bytes for the same likeness."""

_BUFFER_S: Final = 2
"""A bit rate is kept in the mean. It may rise to the peak, and beyond by what a buffer of so long holds."""

_ONE_THREAD_PIXELS_PER_S: Final = 1920 * 1080 * 30
"""Up to this rate one thread keeps up, and costs less in sum than two that share each picture."""

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
        if preset == STILL:
            return {"crf": parameters.crf}
        return {"qp": min(51, parameters.crf + _QUANTIZER), "ipratio": _KEY_RATIO}
    kbit_s = max(1, parameters.bitrate // 1000)
    peak = {"vbv-maxrate": int(kbit_s * x264.PEAK), "vbv-bufsize": kbit_s * _BUFFER_S}
    return {"bitrate": kbit_s, "ratetol": 0.5, **peak}
