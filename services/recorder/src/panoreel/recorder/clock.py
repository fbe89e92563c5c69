"""One time line for pictures and sound: CLOCK_MONOTONIC, from the first picture on.

Samples are counted, pictures are stamped. Whatever the counter and the clock disagree about is mended in the
sound, so that the count of samples is the length of the recording.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from panoreel.contracts.media import AUDIO_SAMPLE_RATE

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


class SoundTimeline:
    """Makes captured blocks one unbroken run of samples that begins at the recording's first picture.

    Sound from before is cut off there to the sample, a hole is filled with silence, and drift is mended by
    playing a block slightly faster or slower.
    """

    def __init__(self) -> None:
        self.position = 0
        self._clock = SteadyClock()
        self._start: float | None = None
        self._early: deque[tuple[NDArray[np.int16], float]] = deque(maxlen=EARLY_BLOCKS)

    def begin(self, start: float) -> None:
        """The recording's first picture was shown at this monotonic time; may be called from any thread."""
        self._start = start

    def add(self, samples: NDArray[np.int16], stamp: float) -> NDArray[np.int16]:
        """Take a block (n, 2) whose first sample was played at `stamp`; returns what follows on.

        `position` is then the number of samples returned so far.
        """
        self._early.append((samples, self._clock.time_of(len(samples), stamp)))
        if self._start is None:
            return samples[:0]
        placed = [self._place(block, played_at, self._start) for block, played_at in self._early]
        self._early.clear()
        return np.concatenate(placed)

    def _place(self, samples: NDArray[np.int16], played_at: float, start: float) -> NDArray[np.int16]:
        missing_s = played_at - start - self.position / AUDIO_SAMPLE_RATE
        missing = round(missing_s * AUDIO_SAMPLE_RATE)
        if self.position == 0 and missing < 0:
            samples = samples[-missing:]
        elif missing_s > HOLE_S / 2:
            samples = np.concatenate((np.zeros((missing, samples.shape[1]), np.int16), samples))
        elif abs(missing_s) > TOLERANCE_S:
            most = max(1, round(len(samples) * LONGEST_STRETCH))
            samples = _stretch(samples, len(samples) + max(-most, min(most, missing)))
        self.position += len(samples)
        return samples


def _stretch(samples: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """The same sound in `length` samples, by linear interpolation, which a change this small allows."""
    at = np.linspace(0, len(samples) - 1, length)
    channels = [np.interp(at, np.arange(len(samples)), channel) for channel in samples.T]
    stretched: NDArray[np.int16] = np.rint(np.stack(channels, axis=1)).astype(np.int16)
    return stretched
