"""When a page is given up, and when it is taken for blank."""

import numpy as np
import pytest

from panoreel.recorder.blank import BlankWatch, is_plain
from panoreel.recorder.patience import Patience


def test_pauses_grow_until_ten_minutes_have_passed() -> None:
    patience, now, pauses = Patience(), 1000.0, []
    patience.trouble(now)
    while (pause_s := patience.next_pause_s(now)) is not None:
        pauses.append(pause_s)
        now += pause_s
    assert pauses[:7] == [0.5, 1, 2, 4, 8, 15, 15]
    assert sum(pauses) == pytest.approx(600, abs=15)


@pytest.mark.parametrize(("well_s", "pause_s"), [(10, 1), (100, 0.5)])
def test_what_was_well_for_long_is_a_new_matter(well_s: float, pause_s: float) -> None:
    patience = Patience()
    patience.trouble(1000)
    patience.next_pause_s(1000)
    patience.well(1001)
    patience.trouble(1001 + well_s)
    assert patience.next_pause_s(1001 + well_s) == pause_s


@pytest.mark.parametrize(("every_s", "borne"), [(10, 4), (20, 100)])
def test_accidents_are_borne_unless_they_come_too_often(every_s: float, borne: int) -> None:
    patience = Patience()
    results = [patience.bears_accident(1000 + number * every_s) for number in range(100)]
    assert (results.index(False) if False in results else 100) == borne


def test_a_single_pixel_is_something_to_see() -> None:
    rng = np.random.default_rng(1)
    for height, width in ((1, 1), (2, 3), (17, 33), (720, 1280)):
        picture = np.full((height, width, 4), (1, 2, 3, 0), np.uint8)
        picture[..., 3] = rng.integers(256, size=(height, width))  # which X leaves undefined
        assert is_plain(picture)
        picture[-1, -1, 1] ^= 1
        assert is_plain(picture) == (height * width == 1)


def test_a_blank_page_is_told_once_each_time() -> None:
    blank, drawn = np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 4), np.uint8)
    drawn[4, 4] = 255
    shown = [blank] * 100 + [drawn] * 30 + [blank] * 100
    watch = BlankWatch(5)
    assert [number for number, picture in enumerate(shown) if watch.look(picture, number / 10)] == [50, 180]
    never = BlankWatch(None)
    assert not any(never.look(picture, number / 10) for number, picture in enumerate(shown))
