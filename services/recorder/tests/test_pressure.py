"""As much effort as the page needs; less of it quickly, more of it slowly."""

import pytest

from panoreel.recorder.pressure import Counts, Pressure

PRESETS = ("still", "best", "good", "cheap")
"""A page that moves is worth the second."""

FPS = 30

BUSY, LATE, FINE, CALM = (0.9, 0.0), (0.2, 0.5), (0.6, 0.0), (0.2, 0.0)
"""Share of the time that encoding takes, and of the pictures that are late."""


class Recording:
    """Goes on for some seconds at a time."""

    def __init__(self) -> None:
        self.pressure = Pressure(PRESETS)
        self._pictures = 0
        self._late = self._busy_s = 0.0
        self.go_on(CALM, 1)

    def change_display(self) -> None:
        self._late = 0.0
        self.pressure.start_over()

    def go_on(self, load: tuple[float, float], seconds: float) -> str:
        """The preset afterwards."""
        busy, late = load
        for _ in range(round(seconds * FPS)):
            self._pictures += 1
            self._late += late
            self._busy_s += busy / FPS
            at = 1_000 + self._pictures / FPS
            self.pressure.look(Counts(at, self._pictures, int(self._late), self._busy_s))
        return self.pressure.preset


def test_late_pictures_of_another_display_are_counted_from_0() -> None:
    recording = Recording()
    recording.go_on(LATE, 0.9)
    recording.change_display()
    assert recording.go_on(LATE, 2.1) == "good"


@pytest.mark.parametrize(
    ("story", "presets", "steps"),
    [
        ([(FINE, 60)], ["best"], 0),
        # A moment is no pressure.
        ([(BUSY, 1), (CALM, 10), (BUSY, 1), (CALM, 10)], ["best"] * 4, 0),
        ([(BUSY, 3.1), (BUSY, 3), (BUSY, 60)], ["good", "cheap", "cheap"], 2),
        ([(LATE, 3.1), (FINE, 300)], ["good", "good"], 1),
        ([(LATE, 3.1), (CALM, 19), (CALM, 4)], ["good", "good", "best"], 2),
        ([(BUSY, 6.1), (CALM, 23), (CALM, 23)], ["cheap", "good", "best"], 4),
        # A step up that was too much is tried again later than the first time.
        (
            [(BUSY, 3.1), (CALM, 23), (BUSY, 3.1), (CALM, 38), (CALM, 6), (BUSY, 3.1), (CALM, 76)],
            ["good", "best", "good", "good", "best", "good", "good"],
            5,
        ),
    ],
)
def test_steps(story: list[tuple[tuple[float, float], float]], presets: list[str], steps: int) -> None:
    recording = Recording()
    assert [recording.go_on(load, seconds) for load, seconds in story] == presets
    assert recording.pressure.steps == steps


def test_a_still_page_is_calm() -> None:
    """A picture a second, one of which is late now and then, and takes a tenth of a second."""
    pressure = Pressure(PRESETS)
    for second in range(100):
        pressure.look(Counts(second, second, second // 10, second / 10))
    assert pressure.preset == "still"
    assert pressure.steps == 0


@pytest.mark.parametrize(("per_s", "preset"), [(1, "still"), (4, "still"), (10, "best"), (30, "best")])
def test_effort_follows_the_page(per_s: int, preset: str) -> None:
    pressure = Pressure(PRESETS)
    for number in range(per_s * 10):
        pressure.look(Counts(number / per_s, number, 0, number / 100))
    assert (pressure.preset, pressure.steps) == (preset, 0)
