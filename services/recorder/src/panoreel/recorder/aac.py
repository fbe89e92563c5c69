"""AAC for a recording: samples in, packets out, in encoder runs that meet on the grid of audio frames."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import io
from collections import deque
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.format import AudioFormat
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE

_FAST: Final = {"aac_coder": "fast", "aac_is": "0", "aac_pns": "0", "aac_tns": "0"}
"""FFmpeg's cheaper search takes a quarter of the time of its usual one on music (10 against 45 ms a second),
and is nearer to what was played, without the tools that were made for few bits."""

_ROOMY_BITS_PER_S: Final = 96_000
"""From here on each channel has bits enough of its own: it is not worth looking for what they share."""

_FADE_IN: Final = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 2 * AUDIO_FRAME_SAMPLES))).astype(np.float32)
"""The gain of a run's first 43 ms. The decoder fades from the run before into this one within 21 ms, which
can be heard as a click where low tones meet with opposite phase, unless this one begins softly."""

_FADE_OUT: Final = np.linspace(1, 0, 240)[:, np.newaxis]
"""The gain that leads from the last sample before silence to 0, in 5 ms: a step would be a click."""


class SoundEncoder:
    """Encodes 48 kHz stereo samples, counted from 0; for one thread at a time.

    `stream` says what the packets are, to whoever stores them.
    """

    def __init__(self, bit_rate: int) -> None:
        """`bit_rate` is in bits per second."""
        self._bit_rate = bit_rate
        self._template = av.open(io.BytesIO(), "w", format="mp4")
        self.stream = self._template.add_stream("aac", rate=AUDIO_SAMPLE_RATE, layout="stereo")
        self.stream.codec_context.bit_rate = bit_rate
        self._template.start_encoding()
        self._packets: deque[Packet[AudioStream]] = deque()
        self._packets_end = 0
        self._run_ends: deque[int] = deque()
        self._start_run(0)

    @property
    def complete_until(self) -> int:
        """The sample, a multiple of 1024, before which everything is encoded."""
        return self._packets_end

    def add(self, samples: NDArray[np.int16], first_sample: int) -> None:
        """Encode `samples` of shape (n, 2).

        What comes a second time is dropped, and silence stands for what is missing before `first_sample`.
        """
        self.silence_until(first_sample)
        self._encode(samples[max(0, self._next_sample - first_sample) :])

    def silence_until(self, end_sample: int) -> None:
        """Let silence stand for whatever is missing before `end_sample`."""
        missing = end_sample - self._next_sample
        if missing > 0:
            self._encode(self._silence(missing))

    def end_run(self, end_sample: int) -> None:
        """Let the encoder begin anew at `end_sample`, a multiple of 1024, as soon as the sound is there.

        Everything before it can then be taken; the encoder would otherwise look at what follows first.
        """
        self._run_ends.append(end_sample)
        self._encode(self._samples[:0])

    def take(self, count: int) -> list[Packet[AudioStream]]:
        """The next `count` packets, 1024 samples each, all before `complete_until`."""
        return [self._packets.popleft() for _ in range(count)]

    def _start_run(self, first_sample: int) -> None:
        self._codec = AudioCodecContext.create("aac", "w")
        self._codec.sample_rate, self._codec.bit_rate = AUDIO_SAMPLE_RATE, self._bit_rate
        self._codec.options = _FAST | ({"aac_ms": "0"} if self._bit_rate >= _ROOMY_BITS_PER_S else {})
        self._codec.format, self._codec.layout = AudioFormat("fltp"), AudioLayout("stereo")
        self._first_sample = self._next_sample = first_sample
        self._samples = np.empty((0, 2), np.int16)
        self._last_sample = np.zeros(2, np.int16)

    def _encode(self, samples: NDArray[np.int16]) -> None:
        while self._run_ends and self._next_sample + len(samples) >= self._run_ends[0]:
            end_sample = self._run_ends.popleft()
            here = max(0, end_sample - self._next_sample)
            self._feed(samples[:here])
            self._finish_run(end_sample)
            samples = samples[here:]
        self._feed(samples)

    def _finish_run(self, end_sample: int) -> None:
        # One frame more, for the last one to lead softly into the next run's first.
        self._feed(self._silence(max(0, end_sample + AUDIO_FRAME_SAMPLES - self._next_sample)))
        self._keep(self._codec.encode(None))
        while self._packets_end > end_sample:
            self._packets.pop()
            self._packets_end -= AUDIO_FRAME_SAMPLES
        self._start_run(end_sample)

    def _silence(self, samples: int) -> NDArray[np.int16]:
        silence = np.zeros((samples, 2), np.int16)
        silence[: len(_FADE_OUT)] = (self._last_sample * _FADE_OUT)[:samples]
        return silence

    def _feed(self, samples: NDArray[np.int16]) -> None:
        if not len(samples):
            return
        self._last_sample = samples[-1]
        self._next_sample += len(samples)
        samples = np.concatenate((self._samples, samples))
        first = self._next_sample - len(samples)
        whole = len(samples) - len(samples) % AUDIO_FRAME_SAMPLES
        planes = samples[:whole].T.astype(np.float32) / 32768
        fade_in = _FADE_IN[first - self._first_sample :][:whole]
        planes[:, : len(fade_in)] *= fade_in
        for start in range(0, whole, AUDIO_FRAME_SAMPLES):
            block = np.ascontiguousarray(planes[:, start : start + AUDIO_FRAME_SAMPLES])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = AUDIO_SAMPLE_RATE
            frame.pts = first + start
            self._keep(self._codec.encode(frame))
        self._samples = samples[whole:]

    def _keep(self, packets: list[Packet[AudioStream]]) -> None:
        for packet in packets:
            assert packet.pts is not None
            if packet.pts >= self._first_sample:  # before it is priming, which fills the encoder's window
                self._packets.append(packet)
                self._packets_end = packet.pts + AUDIO_FRAME_SAMPLES


class NoSound:
    """In place of a `SoundEncoder` where no sound is recorded, complete when silence could stand for it."""

    stream = None

    def __init__(self) -> None:
        self.complete_until = 0

    def add(self, samples: NDArray[np.int16], first_sample: int) -> None:
        """Drop the samples."""

    def silence_until(self, end_sample: int) -> None:
        """Do nothing but let time pass."""
        self.complete_until = max(self.complete_until, end_sample)

    def end_run(self, end_sample: int) -> None:
        """Do nothing but let time pass."""
        self.silence_until(end_sample)

    def take(self, count: int) -> list[Packet[AudioStream]]:
        """None."""
        return []
