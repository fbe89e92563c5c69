"""Whether a page's sound is whole: a sine on each side, which pauses, must come out without gap or click."""

import itertools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from panoreel.bench import media, recorder
from panoreel.bench.errors import RecordingFailed
from panoreel.bench.recorder import Recording
from panoreel.bench.site import Site

SIDES_HZ: Final = (440, 660)
"""What the page `sine` plays on the left and on the right."""

BLOCK: Final = media.SAMPLE_RATE // 50
"""20 ms hold a whole number of periods of every multiple of 50 Hz, and nearly that of others."""

QUIET: Final = 0.001
LOUD: Final = 0.2
"""Amplitudes; the page's is 0.3."""

CLICK: Final = 0.02
"""The second difference of a click; the loudest sine's is a tenth of it."""

PAUSE_S: Final = (1.8, 2.6)
"""The page pauses for 2 s, and some more when its timer is late; any other silence is a gap."""

SETTLE_BLOCKS: Final = 5
"""So long volume fades in and out."""


async def measure(site: Site, page: str, seconds: float) -> dict[str, Any]:
    """Of one recording of the page, see `continuity`."""

    def read(recording: Recording) -> dict[str, Any]:
        return continuity(media.sound(recording.files).samples) | {"seconds": seconds}

    found: dict[str, Any] = await recorder.record(site.url(page), seconds, read)
    return found


def continuity(samples: NDArray[np.float32]) -> dict[str, Any]:
    """Of samples (n, 2): how far the phase of each side's sine jumps at most from one 20 ms to the next.

    `gaps` counts where a tone dips or is silent, but for the page's own pauses, in one of which the recording
    may begin or end, `clicks` where anything else is heard than the tone, `crosstalk` is the level of the
    wrong tone in a channel against the right one's, `silence` the loudest sample in the pauses. Raises
    `RecordingFailed` when there is no tone.
    """
    count = len(samples) // BLOCK
    blocks = samples[: count * BLOCK].reshape(count, BLOCK, 2).astype(float)
    tones = np.stack([_tone(blocks[:, :, side], hertz) for side, hertz in enumerate(SIDES_HZ)], axis=1)
    level = np.abs(tones)
    sounding = _runs(level.min(axis=1) > LOUD)
    if not sounding:
        raise RecordingFailed("no tone was found in the sound")
    jumps, others = [0.0], [0.0]
    for begin, end in sounding:
        run = tones[begin:end]
        for side in range(2):
            turned = np.diff(np.unwrap(np.angle(run[:, side])))
            jumps += list(np.abs(turned - np.median(turned)))
        others += list(_others(blocks[begin:end], run))
    swapped = np.abs([_tone(blocks[:, :, 1 - side], hertz) for side, hertz in enumerate(SIDES_HZ)]).T
    inside = np.concatenate([np.arange(begin, end) for begin, end in sounding])
    pauses = _runs(level.max(axis=1) < LOUD / 100)
    quiet = [np.abs(blocks[begin:end]).max() for begin, end in pauses]
    return {
        "tone_s": round(_seconds(len(inside)), 1),
        "runs": len(sounding),
        "phase_jump_degrees": round(float(np.degrees(max(jumps))), 2),
        "gaps": sum(not _is_pause(before, after) for before, after in _between(sounding))
        + sum(_seconds(edge) > PAUSE_S[1] for edge in (sounding[0][0], count - sounding[-1][1])),
        "clicks": int(np.sum(np.array(others) > CLICK)),
        "crosstalk": round(float(np.median(swapped[inside] / level[inside])), 4),
        "silence": round(float(max(quiet, default=0.0)), 5),
    }


def _tone(blocks: NDArray[np.floating], hertz: int) -> NDArray[np.complex128]:
    """The complex amplitude of a tone in each block of (n, BLOCK) samples, against one clock for all."""
    time = np.arange(blocks.size).reshape(blocks.shape) / media.SAMPLE_RATE
    window = np.hanning(BLOCK)
    amplitude: NDArray[np.complex128] = (blocks * window * np.exp(-2j * np.pi * hertz * time)).sum(axis=1)
    amplitude *= 2 / window.sum()
    return amplitude


def _others(blocks: NDArray[np.floating], tones: NDArray[np.complex128]) -> NDArray[np.floating]:
    """How loud anything but the tone is in each block: the largest step of its second difference."""
    expected = [abs(2 * np.sin(np.pi * hertz / media.SAMPLE_RATE)) ** 2 for hertz in SIDES_HZ]
    steps = np.abs(np.diff(blocks, n=2, axis=1)).max(axis=1) - np.abs(tones) * np.array(expected)
    worst: NDArray[np.floating] = steps.max(axis=1)
    return worst


def _runs(true: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where blocks are true without a break, without the edges, where volume fades."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], true.astype(int), [0]))))
    inner = [(begin + SETTLE_BLOCKS, end - SETTLE_BLOCKS) for begin, end in edges.reshape(-1, 2)]
    return [(int(begin), int(end)) for begin, end in inner if end - begin > SETTLE_BLOCKS]


def _is_pause(before: int, after: int) -> bool:
    shortest_s, longest_s = PAUSE_S
    return shortest_s <= _seconds(after - before - 2 * SETTLE_BLOCKS) <= longest_s


def _seconds(blocks: int) -> float:
    return blocks * BLOCK / media.SAMPLE_RATE


def _between(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(before[1], after[0]) for before, after in itertools.pairwise(runs)]
