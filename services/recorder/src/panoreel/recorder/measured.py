"""How well a recording goes: counted where its pictures and its sound pass by, and told as `Quality`."""

import os
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE
from panoreel.contracts.quality import Quality

BLACK: Final = 0x00F0F0F0
"""The bits of a BGRX pixel that a black one lacks: no channel exceeds 15 of 255."""

BLACK_ROWS: Final = 8
"""Every so many rows are looked at: no line of text is lower."""

SILENT: Final = 32
"""The highest sample of silence: -60 dB of full scale."""

PROCESSOR_EVERY_S: Final = 5.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Gauge:
    """Counts what one recorder's run does, at `fps` pictures a second at most; fed and read by any thread.

    The skew of a block of sound is by how much it is heard too late, less by how much the latest picture is
    shown too late. The one is compared with when the sound server played it, the other with when the X server
    drew it: what the browser does before that is not in it.
    """

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._lock = threading.Lock()
        self._captured = self._encoded = self._dropped = self._repeated = 0
        self._end_pts = self._samples = 0
        self._black_ticks = self._silent_samples = 0
        self._was_black = False
        self._late_s = 0.0
        self._skews: Counter[int] = Counter()
        """Tenths of a millisecond → blocks."""
        self._gaps, self._gap_s = 0, 0.0
        self._preset_steps = 0
        self._finished = False
        self._processor: Processor | None = None

    def captured(self, *, changed: bool, late_s: float) -> None:
        """A picture was taken, because the page had drawn or for want of anything new.

        It is shown `late_s` after the page began to draw, which may have drawn others meanwhile: as many as
        fit in, it is to be feared.
        """
        self._begin()
        with self._lock:
            self._captured += 1
            self._repeated += not changed
            self._dropped += max(0, int(late_s * self._fps))
            self._late_s = late_s

    def encoded(self, picture: NDArray[np.uint8], pts: int, *, changed: bool) -> None:
        """A BGRX picture (height, width, 4) follows at `pts`, in 90 kHz ticks of the recording."""
        black = is_black(picture) if changed else self._was_black
        with self._lock:
            self._encoded += 1
            self._advance(pts)
            self._was_black = black

    def heard(self, samples: NDArray[np.int16], late_s: float) -> None:
        """Samples (n, 2) follow, which are heard `late_s` after they were played, or before, if negative."""
        self._begin()
        silent = is_silent(samples)
        with self._lock:
            self._samples += len(samples)
            self._silent_samples += len(samples) * silent
            self._skews[round((late_s - self._late_s) * 10_000)] += 1

    def discarded(self, pictures: int) -> None:
        """So many that were encoded are left out after all, from the end."""
        with self._lock:
            self._encoded -= pictures

    def interrupted(self, gap_s: float) -> None:
        """Nothing could be captured for so long."""
        with self._lock:
            self._gaps += 1
            self._gap_s += gap_s

    def stepped(self) -> None:
        """The encoder's effort was changed."""
        with self._lock:
            self._preset_steps += 1

    def finish(self, end_pts: int) -> None:
        """The last picture was shown until `end_pts`."""
        with self._lock:
            self._advance(end_pts)
            self._finished = True

    def quality(self) -> Quality:
        """What was measured so far."""
        cores = self._processor.cores(fresh=self._finished) if self._processor else 0.0
        with self._lock:
            p50_ms, p95_ms = _skew_ms(self._skews)
            return Quality(
                recorded_s=round(max(self._end_pts / VIDEO_TIMESCALE, self._samples / AUDIO_SAMPLE_RATE), 3),
                frames_captured=self._captured,
                frames_encoded=self._encoded,
                frames_dropped=self._dropped,
                frames_repeated=self._repeated,
                skew_p50_ms=p50_ms,
                skew_p95_ms=p95_ms,
                gaps=self._gaps,
                gap_s=round(self._gap_s, 3),
                cores=round(cores, 3),
                preset_steps=self._preset_steps,
                silence_s=round(self._silent_samples / AUDIO_SAMPLE_RATE, 3),
                black_s=round(self._black_ticks / VIDEO_TIMESCALE, 3),
            )

    def _begin(self) -> None:
        if self._processor is None:
            self._processor = Processor()

    def _advance(self, pts: int) -> None:
        if self._was_black:
            self._black_ticks += max(0, pts - self._end_pts)
        self._end_pts = max(self._end_pts, pts)


class Processor:
    """How much of the processors this process uses, with all that it has started, from construction on."""

    def __init__(self) -> None:
        self._began = self._looked = time.monotonic()
        self._used_before_s = self._used_s = tree_time_s()

    def cores(self, *, fresh: bool) -> float:
        """Processor seconds a second; looked at anew only now and then, unless it must be `fresh`."""
        now = time.monotonic()
        if fresh or now - self._looked >= PROCESSOR_EVERY_S or self._looked == self._began:
            self._looked = now
            # A process whose parent does not wait for it takes its time along when it ends.
            self._used_s = max(self._used_s, tree_time_s())
        passed_s = self._looked - self._began
        return (self._used_s - self._used_before_s) / passed_s if passed_s else 0.0


def is_black(picture: NDArray[np.uint8]) -> bool:
    """Whether a BGRX picture (height, width, 4), rows contiguous, is black."""
    steps = (8 * BLACK_ROWS, BLACK_ROWS)  # the first look is enough for most pictures that are not
    return not any((picture[::step].view(np.uint32) & BLACK).any() for step in steps)


def is_silent(samples: NDArray[np.int16]) -> bool:
    """Whether nothing is to be heard in samples (n, 2)."""
    return not len(samples) or bool(samples.max() <= SILENT and samples.min() >= -SILENT)


def tree_time_s() -> float:
    """Processor time of this process, its descendants, and those of them that have ended (proc(5), stat)."""
    used: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):  # it has ended meanwhile
                fields = (path / "stat").read_bytes().rpartition(b")")[2].split()
                used[int(path.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in used.items():
        children.setdefault(parent, []).append(pid)
    ticks, waiting = 0, [os.getpid()]
    while waiting:
        pid = waiting.pop()
        ticks += used[pid][1]
        waiting += children.get(pid, ())
    return ticks / TICKS_PER_S


def _skew_ms(skews: Counter[int]) -> tuple[float, float]:
    """The median, and the 95th percentile of the absolute values."""
    absolute: Counter[int] = Counter()
    for skew, blocks in skews.items():
        absolute[abs(skew)] += blocks
    return _percentile(skews, 0.5) / 10, _percentile(absolute, 0.95) / 10


def _percentile(values: Counter[int], share: float) -> int:
    """The least value that so large a `share` of all does not exceed; 0 of none."""
    left = share * values.total()
    for value in sorted(values):
        left -= values[value]
        if left <= 0:
            return value
    return 0
