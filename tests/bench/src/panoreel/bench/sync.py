"""Whether picture and sound are together: flashes and beeps of a page, found in the recording."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from panoreel.bench import media, recorder
from panoreel.bench.errors import RecordingFailed
from panoreel.bench.figures import percentiles, slope
from panoreel.bench.recorder import Recording
from panoreel.bench.site import Site

FARTHEST_S: Final = 0.45
"""A beep that is farther from a flash belongs to another one: they come every second."""


async def measure(site: Site, page: str, seconds: float) -> dict[str, Any]:
    """`{"skew_ms", "drift_ms_per_min", "pairs", "unpaired"}` of one recording of the page."""
    found: dict[str, Any] = await recorder.record(site.url(page), seconds, _read)
    return found | {"seconds": seconds}


def _read(recording: Recording) -> dict[str, Any]:
    sound = media.sound(recording.files)
    beeps = [sound.start_s + onset for onset in media.onsets(sound.samples)]
    return skew(media.flashes(recording.files), beeps)


def skew(flashes_s: Sequence[float], beeps_s: Sequence[float]) -> dict[str, Any]:
    """What flashes and beeps, in seconds, say: p50 has a sign, positive if the picture comes later.

    p95 and max are of absolute values. `unpaired` counts flashes without a beep and beeps without a flash,
    but for those at the edges of the recording, which may have been cut apart. Raises `RecordingFailed` when
    fewer than two are found together.
    """
    pairs = [
        (flash, 1000 * (flash - beep))
        for flash in flashes_s
        if (beep := _nearest(flash, beeps_s)) is not None
    ]
    if len(pairs) < 2:
        found = f"{len(flashes_s)} flashes and {len(beeps_s)} beeps"
        raise RecordingFailed(f"{found} were found, too few together to tell")
    times, skews = np.array(pairs).T
    absolute = percentiles(np.abs(skews), 95, 100)
    return {
        "skew_ms": percentiles(skews, 50) | {"p95": absolute["p95"], "max": absolute["p100"]},
        "drift_ms_per_min": round(slope(times / 60, skews), 3),
        "flashes": len(flashes_s),
        "beeps": len(beeps_s),
        "pairs": len(pairs),
        "unpaired": _unpaired(flashes_s, beeps_s) + _unpaired(beeps_s, flashes_s),
        "spread_ms": round(float(np.ptp(np.percentile(skews, [2.5, 97.5]))), 2),
    }


def _nearest(moment: float, others: Sequence[float]) -> float | None:
    near = [other for other in others if abs(other - moment) < FARTHEST_S]
    return min(near, key=lambda other: abs(other - moment), default=None)


def _unpaired(moments: Sequence[float], others: Sequence[float]) -> int:
    first, last = min(*moments, *others), max(*moments, *others)
    inner = [moment for moment in moments if first + FARTHEST_S < moment < last - FARTHEST_S]
    return sum(_nearest(moment, others) is None for moment in inner)
