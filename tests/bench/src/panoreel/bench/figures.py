"""Statistics: pure functions over what was measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def percentiles(values: ArrayLike, *which: int, digits: int = 2) -> dict[str, float]:
    """`{"p50": …}` of values that are not empty."""
    return {f"p{p}": round(float(np.percentile(np.asarray(values, float), p)), digits) for p in which}


def slope(times: ArrayLike, values: ArrayLike) -> float:
    """How much the values grow in one unit of time, by least squares; 0 for fewer than two points."""
    at, of = np.asarray(times, float), np.asarray(values, float)
    return float(np.polyfit(at - at.mean(), of, 1)[0]) if len(at) > 1 else 0.0


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over rounds that have the same ones; None where a round has none."""
    found: dict[str, Any] = {}
    for name in rounds[0]:
        values = [figures[name] for figures in rounds if figures[name] is not None]
        found[name] = round(float(np.median(values)), 3) if values else None
    return found
