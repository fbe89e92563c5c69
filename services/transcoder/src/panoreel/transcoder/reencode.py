"""Pictures encoded anew, so that they can stand before others that were copied."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from av.codec.context import Flags, ThreadType
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from panoreel.contracts import x264
from panoreel.contracts.media import VIDEO_TIMESCALE, EncoderParameters
from panoreel.transcoder.errors import ParameterSetsDiffer

_PRESET: Final = "superfast"
_THREADS: Final = 2
"""A fixed number: the same pictures give the same bytes on every machine."""

_CRF_BETTER: Final = 2
"""A second encoding loses something again: it is given more bits than the first."""


def reencoded(
    group: Sequence[Packet[Stream]], first: int, header: bytes, parameters: EncoderParameters
) -> Iterator[Packet[Stream]]:
    """The pictures of `group` from number `first` on, as a group of their own, at the same times.

    `group` begins with a keyframe. `header`, its track's avcC (ISO/IEC 14496-15, 5.3.3), holds parameter sets
    which fit the new pictures as well.

    Raises:
        ParameterSetsDiffer: they would need other ones.
    """
    encoder = _encoder(parameters)
    for number, frame in enumerate(_decoded(group, header)):
        if number < first:
            continue
        frame.pict_type = PictureType.I if number == first else PictureType.NONE
        frame.time_base = Fraction(1, VIDEO_TIMESCALE)
        yield from encoder.encode(frame)
    yield from encoder.encode(None)
    # libx264 appends to any profile what is there for the High profiles alone.
    if not (encoder.extradata or b"").startswith(header):
        raise ParameterSetsDiffer


def _decoded(group: Sequence[Packet[Stream]], header: bytes) -> Iterator[VideoFrame]:
    decoder = VideoCodecContext.create("h264", "r")
    decoder.extradata = header
    decoder.thread_type, decoder.thread_count = ThreadType.AUTO, _THREADS
    for packet in (*group, None):
        yield from decoder.decode(packet)


def _encoder(parameters: EncoderParameters) -> VideoCodecContext:
    codec = VideoCodecContext.create("libx264", "w")
    codec.width, codec.height = x264.coded_size(parameters)
    codec.pix_fmt = "yuv420p"
    codec.framerate, codec.time_base = Fraction(parameters.fps), Fraction(1, VIDEO_TIMESCALE)
    codec.flags |= Flags.global_header
    codec.thread_count = _THREADS
    # Lengths instead of start codes before each NAL unit, as MP4 has it.
    neutral = {"annexb": 0, "crf": max(1, parameters.crf - _CRF_BETTER)}
    codec.options = x264.options(parameters, _PRESET, neutral)
    return codec
