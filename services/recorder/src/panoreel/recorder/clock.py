"""One time line for pictures and sound: CLOCK_MONOTONIC, from the first picture on, without the pauses.

Samples are counted, pictures are stamped. Whatever the counter and the clock disagree about is mended in the
sound, so that the count of samples is the length of the recording.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE

HOLE_S: Final = 0.08
"""Stamps that are this far off twice running are no jitter: sound was lost, and silence stands for it."""

TOLERANCE_S: Final = 0.001
"""A deviation below this is left alone."""

LONGEST_STRETCH: Final = 1 / 1024
"""By how much the speed may be changed to mend a deviation: less than two hundredths of a semitone."""

SMOOTHING_BLOCKS: Final = 64
EARLY_BLOCKS: Final = 64


class SteadyClock:
    """Tells when blocks of samples were played, from stamps that jitter by scheduling."""

    def __init__(self) -> None:
        self._count = 0
        self._samples = 0
        self._origin = 0.0
        self._off = False

    def time_of(self, samples: int, stamp: float) -> float:
        """When the next block of `samples` was played, whose own `stamp` says when its first was."""
        error = stamp - (self._origin + self._samples / AUDIO_SAMPLE_RATE)
        off = abs(error) > HOLE_S
        if self._count == 0 or (off and self._off):
            self._origin += error
            off = False
        elif not off:
            self._origin += error / min(self._count + 1, SMOOTHING_BLOCKS)
        self._off = off
        played_at = self._origin + self._samples / AUDIO_SAMPLE_RATE
        self._count += 1
        self._samples += samples
        return played_at


@dataclass
class Take:
    """What is recorded from the monotonic time `start` of its first picture until the next pause.

    It lies in the recording from `first_sample` on, until `end_sample` once a pause has been asked for: both
    multiples of an audio frame, where sound can be cut.
    """

    start: float
    first_sample: int = 0
    end_sample: int | None = None

    @property
    def end(self) -> float:
        """The monotonic time of the end, infinite while it is open."""
        if self.end_sample is None:
            return math.inf
        return self.start + (self.end_sample - self.first_sample) / AUDIO_SAMPLE_RATE

    def sample_at(self, moment: float) -> int:
        """The recording's sample that is played at this monotonic time, which is not after the end."""
        sample = round(self.first_sample + (moment - self.start) * AUDIO_SAMPLE_RATE)
        return max(self.first_sample, sample if self.end_sample is None else min(sample, self.end_sample))

    def pts_at(self, moment: float) -> int:
        """The timestamp of a picture that is shown at this monotonic time."""
        first_pts = pts_of(self.first_sample)
        return first_pts + max(0, round((moment - self.start) * VIDEO_TIMESCALE))

    def moment_of(self, pts: int) -> float:
        """The monotonic time of a picture's timestamp."""
        return self.start + (pts - pts_of(self.first_sample)) / VIDEO_TIMESCALE

    def end_after(self, moment: float, *, sample: int, pts: int) -> None:
        """End where the sound can be cut: at `moment` or less than 22 ms later, or where it is too late for
        that, after what has been recorded already, sound before `sample` and pictures up to `pts`."""
        pts_end = (pts + 1) * AUDIO_SAMPLE_RATE / VIDEO_TIMESCALE
        end = max(self.first_sample + (moment - self.start) * AUDIO_SAMPLE_RATE, sample, pts_end)
        self.end_sample = math.ceil(end / AUDIO_FRAME_SAMPLES) * AUDIO_FRAME_SAMPLES


def pts_of(sample: int) -> int:
    """The video timestamp of a sample; exact for a multiple of the audio frame."""
    return round(sample * VIDEO_TIMESCALE / AUDIO_SAMPLE_RATE)


class SoundTimeline:
    """Makes captured blocks one unbroken run of samples that begins at the recording's first picture.

    Each take begins and ends to the sample, and the next follows on directly; sound from in between is cut
    off. A hole is filled with silence, and drift is mended by playing a block slightly faster or slower.
    `late_s` is by how much the last block follows later than it was played, before it was mended.
    """

    def __init__(self) -> None:
        self.position = 0
        self.late_s = 0.0
        self._clock = SteadyClock()
        self._takes: deque[Take] = deque()
        self._waiting: deque[tuple[NDArray[np.int16], float]] = deque(maxlen=EARLY_BLOCKS)

    def begin(self, take: Take) -> None:
        """`take` follows the one before, which has ended."""
        self._takes.append(take)

    def start_over(self) -> None:
        """The blocks that follow come from another source, whose stamps jitter in their own way."""
        self._clock = SteadyClock()

    def add(self, samples: NDArray[np.int16], stamp: float) -> NDArray[np.int16]:
        """Take a block (n, 2) whose first sample was played at `stamp`; returns what follows on.

        `position` is then the number of samples returned so far.
        """
        self._waiting.append((samples, self._clock.time_of(len(samples), stamp)))
        placed = [samples[:0]]
        while self._waiting and self._takes:
            take = self._takes[0]
            if take.end_sample == self.position:
                self._takes.popleft()
            else:
                block, played_at = self._waiting.popleft()
                placed.append(self._place(block, played_at, take))
        return np.concatenate(placed)

    def _place(self, samples: NDArray[np.int16], played_at: float, take: Take) -> NDArray[np.int16]:
        """What of the block belongs to the take; what comes after its end waits for the next."""
        ended_at = played_at + len(samples) / AUDIO_SAMPLE_RATE
        missing_s = played_at - take.start - (self.position - take.first_sample) / AUDIO_SAMPLE_RATE
        missing = round(missing_s * AUDIO_SAMPLE_RATE)
        if self.position == take.first_sample and missing < 0:
            samples = samples[-missing:]
            missing_s = 0.0
        elif missing_s > HOLE_S / 2:
            samples = np.concatenate((np.zeros((missing, samples.shape[1]), np.int16), samples))
            missing_s = 0.0
        elif abs(missing_s) > TOLERANCE_S:
            most = max(1, round(len(samples) * LONGEST_STRETCH))
            samples = _stretch(samples, len(samples) + max(-most, min(most, missing)))
        self.late_s = -missing_s
        if take.end_sample is not None and self.position + len(samples) > take.end_sample:
            samples, rest = np.split(samples, [take.end_sample - self.position])
            self._waiting.appendleft((rest, ended_at - len(rest) / AUDIO_SAMPLE_RATE))
        self.position += len(samples)
        return samples


def _stretch(samples: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """The same sound in `length` samples, by linear interpolation, which a change this small allows."""
    at = np.linspace(0, len(samples) - 1, length)
    channels = [np.interp(at, np.arange(len(samples)), channel) for channel in samples.T]
    stretched: NDArray[np.int16] = np.rint(np.stack(channels, axis=1)).astype(np.int16)
    return stretched
