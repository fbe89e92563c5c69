"""The quantizer follows how much moves, not more than is wanted, and comes to rest."""

from collections.abc import Callable

import numpy as np
import pytest

from panoreel.recorder.quantizer import Quantizer

CRF, MACROBLOCKS = 23, 3_600
PICTURES = 60

Page = Callable[[int], float]
"""Bytes of a picture that is encoded with a quantizer."""

MEASURED = {
    "a video, a canvas and text": ({20: 3.42, 24: 3.57, 28: 3.83, 32: 4.08}, 25.7),
    "a head before a noisy wall": ({20: 6.51, 22: 5.25, 24: 4.29, 28: 3.98, 32: 3.69}, 26.2),
    "a pan over a noisy picture": ({20: 9.31, 22: 9.17, 24: 8.52, 26: 6.78, 28: 5.18, 32: 3.89}, 26.7),
    "sprites on tiles": ({20: 6.47, 24: 6.76, 28: 7.01, 32: 7.36}, 28.7),
}
"""By quantizer, the logarithm of the bits that a macroblock takes times the quantizer's step; and the
quantizer that gives the likeness of x264's preset veryfast at the constant rate factor, as it comes."""


def measured(page: str) -> Page:
    known, _ = MEASURED[page]
    return lambda qp: 2 ** np.interp(qp, [*known], [*known.values()]) * MACROBLOCKS / 8 / step(qp)


def moving(amount: float) -> Page:
    return lambda qp: amount * MACROBLOCKS / 8 / step(qp)


def step(qp: int) -> float:
    return float(0.85 * 2 ** ((qp - 12) / 6))


def chosen(page: Page, crf: int = CRF, runs: int = 12) -> list[int]:
    quantizer = Quantizer(crf, MACROBLOCKS)
    values = []
    for _ in range(runs):
        for _ in range(PICTURES):
            quantizer.took(round(page(quantizer.value)))
        quantizer.renew()
        values.append(quantizer.value)
    return values


@pytest.mark.parametrize("page", MEASURED)
def test_it_comes_to_rest_where_the_likeness_is_that_of_x264(page: str) -> None:
    values = chosen(measured(page))
    assert values[-1] == pytest.approx(MEASURED[page][1], abs=1.5)
    assert len(set(values[-4:])) == 1


def test_only_the_group_at_hand_counts() -> None:
    """However long all was calm before."""
    quantizer = Quantizer(CRF, MACROBLOCKS)
    page = moving(12)
    for _ in range(1_000):
        assert quantizer.suggest() == quantizer.value
        quantizer.begin_group()
        for _ in range(PICTURES):
            quantizer.took(round(page(quantizer.value)))
    quantizer.begin_group()
    for _ in range(PICTURES):
        quantizer.took(round(moving(500)(quantizer.value)))
    assert quantizer.suggest() == quantizer.value + 3


def test_it_moves_on_in_steps() -> None:
    assert chosen(moving(1e9), runs=5) == [28, 31, 34, 34, 34]


@pytest.mark.parametrize(("crf", "lowest", "highest"), [(1, 1, 13), (23, 19, 35), (51, 47, 51)])
def test_it_stays_within_bounds(crf: int, lowest: int, highest: int) -> None:
    assert chosen(moving(0), crf)[-1] == pytest.approx(lowest, abs=1)
    assert chosen(moving(1e12), crf)[-1] == pytest.approx(highest, abs=1)


def test_a_few_pictures_tell_nothing_and_a_small_change_is_not_worth_it() -> None:
    quantizer = Quantizer(CRF, MACROBLOCKS)
    first = quantizer.value
    for _ in range(9):
        quantizer.took(10**6)
    assert quantizer.suggest() == first
    quantizer.took(10**6)
    assert quantizer.suggest() == first + 3
    quantizer.renew()
    assert (quantizer.value, quantizer.suggest()) == (first + 3, first + 3)
    assert len(set(chosen(moving(12)))) == 1
