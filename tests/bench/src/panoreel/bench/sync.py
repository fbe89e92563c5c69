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
    """`{"skew_ms", "drift_ms_per_min", "pairs"}` of one recording of the page."""
    found: dict[str, Any] = await recorder.record(site.url(page), seconds, _read)
    return found


def _read(recording: Recording) -> dict[str, Any]:
    sound = media.sound(recording.files)
    beeps = [sound.start_s + onset for onset in media.onsets(sound.samples)]
    return skew(media.flashes(recording.files), beeps)


def skew(flashes_s: Sequence[float], beeps_s: Sequence[float]) -> dict[str, Any]:
    """What flashes and beeps, in seconds, say: p50 has a sign, positive if the picture comes later.

    p95 and max are of absolute values. Raises `RecordingFailed` when fewer than two are found together.
    """
    beeps = np.array(beeps_s)
    pairs = []
    for flash in flashes_s if len(beeps) else ():
        beep = float(beeps[np.abs(beeps - flash).argmin()])
        if abs(beep - flash) < FARTHEST_S:
            pairs.append((flash, 1000 * (flash - beep)))
    if len(pairs) < 2:
        found = f"{len(flashes_s)} flashes and {len(beeps_s)} beeps"
        raise RecordingFailed(f"{found} were found, too few together to tell")
    times, skews = np.array(pairs).T
    absolute = percentiles(np.abs(skews), 95, 100)
    return {
        "skew_ms": percentiles(skews, 50) | {"p95": absolute["p95"], "max": absolute["p100"]},
        "drift_ms_per_min": round(slope(times / 60, skews), 3),
        "pairs": len(pairs),
        "spread_ms": round(float(np.ptp(np.percentile(skews, [2.5, 97.5]))), 2),
    }
