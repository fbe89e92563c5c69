"""H.264 for a recording: pictures in, packets out whose durations are known, whatever the preset."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import io
import time
from fractions import Fraction

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream
from numpy.typing import NDArray

from panoreel.contracts.media import VIDEO_TIMESCALE, EncoderParameters
from panoreel.recorder import h264
from panoreel.recorder.bands import Bands
from panoreel.recorder.i420 import PictureConverter


class PictureEncoder:
    """Encodes BGRA pictures; for one thread.

    `stream` says what the packets are, to whoever stores them. `busy_s` is how long encoding has taken.
    """

    def __init__(self, parameters: EncoderParameters, preset: str) -> None:
        """`preset` is x264's."""
        self.preset = preset
        self.busy_s = 0.0
        self._parameters = parameters
        self._converter = PictureConverter(parameters)
        self._template = av.open(io.BytesIO(), "w", format="mp4")
        self.stream = self._template.add_stream("libx264", rate=parameters.fps)
        self._configured(self.stream.codec_context)
        self._template.start_encoding()
        self._codec = self._new_codec()

    def encode(
        self, picture: NDArray[np.uint8], pts: int, *, changed: Bands | None = None, key: bool
    ) -> list[Packet[VideoStream]]:
        """Take a picture of shape (height, width, 4), which is not kept, and give the one before it.

        That one is shown until `pts`, in 90 kHz ticks. Only the `changed` rows are read; None stands for all.
        Raises `ValueError` for another shape.
        """
        began = time.monotonic()
        frame = self._converter.convert(picture, changed)
        frame.pts, frame.time_base = pts, Fraction(1, VIDEO_TIMESCALE)
        frame.pict_type = PictureType.I if key else PictureType.NONE
        packets = _shown_until(pts, self._codec.encode(frame))
        self.busy_s += time.monotonic() - began
        return packets

    def end_run(self, end_pts: int, preset: str | None = None) -> list[Packet[VideoStream]]:
        """Give the last picture, which is shown until `end_pts`; what follows begins with a key picture.

        It is encoded with another `preset`, if there is one.
        """
        began = time.monotonic()
        packets = _shown_until(end_pts, self._codec.encode(None))
        self.preset = preset or self.preset
        self._codec = self._new_codec()
        self.busy_s += time.monotonic() - began
        return packets

    def _new_codec(self) -> VideoCodecContext:
        """One whose 15 MB of pictures are freed with it: that of the stream lasts as long as the stream."""
        return self._configured(VideoCodecContext.create("libx264", "w"))

    def _configured(self, codec: VideoCodecContext) -> VideoCodecContext:
        codec.framerate = Fraction(self._parameters.fps)
        codec.time_base = Fraction(1, VIDEO_TIMESCALE)
        h264.configure(codec, self._parameters, self.preset)
        return codec


def _shown_until(end_pts: int, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
    for packet in packets:  # one at most: x264 holds back a single picture
        assert packet.pts is not None
        packet.duration = end_pts - packet.pts
    return packets
