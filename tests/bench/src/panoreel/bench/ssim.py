"""Structural similarity of two pictures: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13 (4), 2004."""

import numpy as np
from numpy.typing import NDArray

RADIUS, SIGMA = 5, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The mean over all 11 by 11 Gaussian windows of two pictures (height, width), 0 to 255.

    Raises `ValueError` when their shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of {a.shape} and {b.shape} cannot be compared")
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a, variance_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    over = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    under = (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    return float((over / under).mean())


def luma_of(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The luma, 16 to 235, of a picture (height, width, 3) of R'G'B' (ITU-R BT.709-6, section 3)."""
    luma: NDArray[np.float64] = 16 + rgb.astype(float) @ (0.2126, 0.7152, 0.0722) * 219 / 255
    return luma


def _blurred(picture: NDArray[np.floating]) -> NDArray[np.floating]:
    taps = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    taps /= taps.sum()
    height, width = picture.shape[0] - 2 * RADIUS, picture.shape[1] - 2 * RADIUS
    rows: NDArray[np.floating] = sum(tap * picture[at : at + height] for at, tap in enumerate(taps))
    blurred: NDArray[np.floating] = sum(tap * rows[:, at : at + width] for at, tap in enumerate(taps))
    return blurred
