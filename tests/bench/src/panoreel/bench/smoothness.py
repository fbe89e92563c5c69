"""Whether all that a page draws is in the recording, once, in order, and when it drew it."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from panoreel.bench import media, recorder
from panoreel.bench.errors import RecordingFailed
from panoreel.bench.figures import percentiles
from panoreel.bench.recorder import Recording
from panoreel.bench.site import Site

STILL_S: Final = 0.5
"""Who shows nothing new for so long is given the same picture again, on purpose."""

Shown = Sequence[tuple[float, int | None]]


async def measure(site: Site, page: str, seconds: float) -> dict[str, Any]:
    """`{"present", "expected", "interval_ms"}` of one recording of the page, and when what was drawn."""
    site.forget()

    def read(recording: Recording) -> dict[str, Any]:
        assert recording.started is not None
        shown = [(frame.time_s, media.number(frame.luma)) for frame in media.frames(recording.files)]
        return smoothness(shown, site.drawn, recording.started.timestamp())

    found: dict[str, Any] = await recorder.record(site.url(page), seconds, read)
    return found


def smoothness(shown: Shown, drawn: Mapping[int, float], started_s: float) -> dict[str, Any]:
    """Of times in seconds with the numbers that were read there, and of what the page drew when, in Unix ms.

    `started_s` is the Unix time of the recording's time 0. `stamp_error_ms` tells by how much time stamps
    are off the page's own clock: `absolute_p95` in all, `offset` is the constant part, p50 and p95 the rest,
    absolute; what was drawn before the recording began has no time in it. None of what was drawn is present
    if no number can be read. Without a list of what was drawn, nothing but the intervals is known.
    """
    if len(shown) < 3:
        raise RecordingFailed("there are fewer than three pictures")
    times = np.array([time for time, _ in shown])
    found: dict[str, Any] = {
        "present": None,
        "expected": None,
        "interval_ms": percentiles(np.diff(times) * 1000, 50, 99),
        "frames": len(shown),
        "fps": round((len(shown) - 1) / float(times[-1] - times[0]), 2),
    }
    if not drawn:
        return found
    seen = [(time, number) for time, number in shown if number in drawn]
    if len(seen) < 2:
        begin_ms, end_ms = (1000 * (started_s + float(time)) for time in times[[0, -1]])
        return found | {"present": 0, "expected": sum(begin_ms <= at <= end_ms for at in drawn.values())}
    numbers = [number for _, number in seen if number is not None]
    pairs = list(itertools.pairwise(seen))
    first = {number: time for time, number in reversed(seen) if number is not None}
    began_ms = 1000 * (started_s + float(times[0]))
    errors_ms = [
        1000 * (started_s + time) - drawn[number]
        for number, time in first.items()
        if drawn[number] >= began_ms
    ]
    found |= {
        "present": len(set(numbers)),
        "expected": sum(min(numbers) <= number <= max(numbers) for number in drawn),
        "repeated": sum(a[1] == b[1] and b[0] - a[0] < STILL_S for a, b in pairs),
        "disordered": sum(b < a for a, b in itertools.pairwise(numbers)),
    }
    return found | ({"stamp_error_ms": _stamp_error(np.array(errors_ms))} if errors_ms else {})


def _stamp_error(errors_ms: NDArray[np.floating]) -> dict[str, float]:
    offset = float(np.median(errors_ms))
    return {
        "absolute_p95": percentiles(np.abs(errors_ms), 95)["p95"],
        "offset": round(offset, 2),
        **percentiles(np.abs(errors_ms - offset), 50, 95),
    }
