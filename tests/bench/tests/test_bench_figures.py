"""The arithmetic of the benchmarks, and the document that is made of their results."""

import os
from collections.abc import Sequence
from typing import Any

import pytest

from panoreel.bench import document
from panoreel.bench.capture import kept
from panoreel.bench.density import summary
from panoreel.bench.errors import BenchError, RecordingFailed
from panoreel.bench.figures import medians, percentiles, slope
from panoreel.bench.memory import growth
from panoreel.bench.plots import plots
from panoreel.bench.processes import pss_bytes
from panoreel.bench.size import bytes_at, next_crf
from panoreel.bench.smoothness import smoothness
from panoreel.bench.targets import TARGETS, Target

STARTED_S = 1_700_000_000.0


def test_statistics() -> None:
    assert percentiles(range(101), 50, 95) == {"p50": 50, "p95": 95}
    assert slope([1, 2, 3], [5, 7, 9]) == pytest.approx(2)
    assert slope([1], [5]) == 0
    rounds: list[dict[str, Any]] = [
        {"cores": 1, "fps": None},
        {"cores": 9, "fps": None},
        {"cores": 2, "fps": 4},
    ]
    assert medians(rounds) == {"cores": 2, "fps": 4}


def shown(numbers: list[int], late_s: float = 0.02) -> list[tuple[float, int | None]]:
    return [(number / 30 + late_s, number) for number in numbers]


def drawn(count: int) -> dict[int, float]:
    return {number: 1000 * (STARTED_S + number / 30) for number in range(count)}


def test_all_that_was_drawn() -> None:
    found = smoothness(shown(list(range(10, 90))), drawn(100), STARTED_S)
    assert (found["present"], found["expected"]) == (80, 80)
    assert found["repeated"] == found["disordered"] == 0
    assert found["interval_ms"] == {"p50": pytest.approx(33.3, abs=0.1), "p99": pytest.approx(33.3, abs=0.1)}
    of_stamps = {"absolute_p95": pytest.approx(20, abs=0.1), "offset": pytest.approx(20, abs=0.1)}
    assert found["stamp_error_ms"] == of_stamps | {"p50": 0, "p95": 0}


def test_what_was_drawn_before_is_not_late() -> None:
    began_s = STARTED_S + 1
    seen = [(0.0, 2), (29 / 30, 59), (2.0, 90)]
    assert smoothness(seen, drawn(100), began_s)["stamp_error_ms"]["absolute_p95"] == pytest.approx(
        0, abs=1e-3
    )
    assert "stamp_error_ms" not in smoothness(seen, drawn(100), began_s + 9)


@pytest.mark.parametrize(
    ("numbers", "figures"),
    [
        ([*range(10), *range(12, 20)], {"present": 18, "expected": 20}),
        ([*range(10), 9, *range(10, 20)], {"present": 20, "repeated": 0, "disordered": 0}),
        ([1, 2, 4, 3, 5], {"present": 5, "expected": 5, "disordered": 1}),
    ],
)
def test_what_is_missing(numbers: list[int], figures: dict[str, int]) -> None:
    times = [0.6 * place for place in range(len(numbers))]
    found = smoothness(list(zip(times, numbers, strict=True)), drawn(30), STARTED_S)
    assert {name: found[name] for name in figures} == figures


def test_a_picture_that_comes_twice() -> None:
    again = [*shown([1, 2, 3]), (3 / 30 + 0.05, 3), *shown([4, 5])]
    assert smoothness(again, drawn(9), STARTED_S)["repeated"] == 1


def test_a_page_that_tells_nothing() -> None:
    found = smoothness([(0, None), (1, None), (2, None)], {}, STARTED_S)
    assert found["present"] is None
    assert found["interval_ms"]["p50"] == 1000


def test_numbers_that_cannot_be_read_are_not_there() -> None:
    found = smoothness([(place / 30, None) for place in range(30)], drawn(100), STARTED_S)
    assert (found["present"], found["expected"]) == (0, 30)


@pytest.mark.parametrize(
    ("numbers", "always_drawn", "figures"),
    [
        (range(61), True, {"fps": 30, "dropped": 0}),
        ([0, *range(60)], True, {"fps": 29.5, "dropped": 1}),
        ([number // 30 for number in range(61)], False, {"fps": 30, "dropped": 0}),
        ([number // 30 * 2 for number in range(61)], False, {"fps": 30, "dropped": 2}),
        ([None] * 61, False, {"fps": 30, "dropped": None}),
    ],
)
def test_pictures_that_are_kept(
    numbers: Sequence[int | None], always_drawn: bool, figures: dict[str, float | None]
) -> None:
    shown = [(place / 30, number) for place, number in enumerate(numbers)]
    assert kept(shown, 2.0, always_drawn) == figures


def test_without_a_picture_nothing_is_told() -> None:
    with pytest.raises(RecordingFailed, match="no picture"):
        kept([], 2.0, always_drawn=False)


def test_growth_after_warm_up() -> None:
    samples = [
        (time_s, 100.0 if time_s < 300 else 200 + (time_s - 750) / 3600) for time_s in range(0, 1201, 5)
    ]
    found = growth([(float(time_s), size) for time_s, size in samples])
    assert found["pss_mb"]["mean"] == pytest.approx(200, abs=0.1)
    assert found["growth_percent_per_hour"] == pytest.approx(0.5, abs=0.02)


def test_the_worst_of_many() -> None:
    one = smoothness(shown(list(range(30))), drawn(30), STARTED_S)
    worse = smoothness(shown([*range(10), *range(20, 30)]), drawn(30), STARTED_S)
    found = summary([one, worse])
    assert (found["present"], found["expected"]) == (50, 60)
    assert found["worst_interval_p99_ms"] > 100
    assert found["worst_present"] == pytest.approx(20 / 30, abs=1e-4)
    assert found["worst_fps"] == pytest.approx(19 * 30 / 29, abs=0.01)
    silent = smoothness(shown(list(range(30))), {}, STARTED_S)
    assert summary([one, silent])["worst_present"] == 0
    assert summary([silent])["worst_present"] is None


def test_bytes_at_equal_likeness() -> None:
    curve = {23: (1000, 0.99)}
    assert next_crf(0.992, curve) == 20
    assert next_crf(0.98, curve) == 26
    curve[20] = (2000, 0.995)
    assert next_crf(0.992, curve) is None
    assert bytes_at(0.99, list(curve.values())) == pytest.approx(1000)
    assert 1000 < bytes_at(0.992, list(curve.values())) < 2000


def test_memory_that_may_not_be_read() -> None:
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65_534)
        with pytest.raises(BenchError, match="process 1 may not be read: run this as root"):
            pss_bytes([1])
    finally:
        os.seteuid(user)


RESULTS: dict[str, Any] = {
    "date": "2026-01-01",
    "machine": {"processor": "x", "cores": 2, "memory_gib": 4, "system": "Debian"},
    "versions": {"chromium": "156"},
    "capture": {
        "busy": {
            "page": "busy",
            "seconds": 10,
            "rounds": 3,
            "ours": {"cores": 0.5, "fps": 30, "dropped": 0},
            "gstreamer": {"cores": 1.0, "fps": 29, "dropped": 10},
            "headless": {"cores": 0.4, "fps": None, "dropped": None},
        }
    },
    "sync": {
        "sync": {"skew_ms": {"p50": -1, "p95": 25, "max": 30}, "drift_ms_per_min": -0.5, "seconds": 600},
        "sync-script": {"skew_ms": {"p50": 1, "p95": 5, "max": 9}, "drift_ms_per_min": 0, "seconds": 90},
    },
    "memory": {
        "pss_mb": {"max": 500},
        "growth_percent_per_hour": -20,
        "samples": [[0, 400], [60, 500]],
        "seconds": 1200,
    },
    "picture": {"tagged_bt709": True},
}


def test_the_document() -> None:
    text = document.render(RESULTS)
    for line in (
        "2 cores of x, 4 GiB, Debian; chromium 156.",
        "| busy page: cores against GStreamer's | ≤ 0.55 | 0.5 | yes |",
        "| busy page: against MediaRecorder's | ≤ 0.4 | not measured |  |",
        "| video: picture against sound, p95 | ≤ 20 ms | 25 ms | **no** |",
        "| video: drift | ≤ 1 ms/min | 0.5 ms/min | yes |",
        "| script: picture against sound, p95 | ≤ 20 ms | 5 ms | needs `--long` |",
        "| growth of memory | ≤ 1 %/h | -20 %/h | yes |",
        "| colours: the file says BT.709 | ≥ 1 | 1 | yes |",
        "Medians of 3 rounds.",
        "| Panoreel | 0.5 | 30 | 0 |",
        "![cores-busy](benchmarks/cores-busy.svg)",
    ):
        assert line in text
    assert set(plots(RESULTS)) == {"cores-busy", "frames-busy", "memory"}


def test_what_people_wrote_stays() -> None:
    first = document.placed("", "one\n")
    assert first.startswith("# ")
    written = first.replace(document.END, f"{document.END}\n\n## What was tried\n\nThis.")
    again = document.placed(written, "two\n")
    assert "one" not in again
    assert "two" in again
    assert again.index("two") < again.index("## What was tried")
    assert document.placed(again, "two\n") == again


def test_results_are_merged() -> None:
    merged = document.merge(RESULTS, "capture.slides", {"ours": 1})
    assert set(merged["capture"]) == {"busy", "slides"}
    assert document.merge(merged, "start", {"cold_ms": 1})["start"] == {"cold_ms": 1}


def test_targets() -> None:
    names = [target.what for target in TARGETS]
    assert len(set(names)) == len(names)
    share = Target("share", "a.b", 0.9, over="a.c", at_least=True)
    assert share.value({"a": {"b": 9, "c": 10}}) == 0.9
    assert share.is_met(0.9)
    assert not share.is_met(0.89)
    assert share.value({"a": {"b": 9, "c": 0}}) is None
