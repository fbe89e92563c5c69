"""When pictures are shown, whatever a run's segments hold."""

from datetime import UTC, datetime
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from panoreel.contracts.media import Segment
from panoreel.contracts.timeline import arrange
from panoreel.transcoder.mp4.tables import PICTURES, Run, numbers, run_lengths, run_lengths_undone, table
from panoreel.transcoder.mp4.tracks import Track

FRAME, FRAME_TICKS = 1024, 1920

DURATIONS = st.lists(st.one_of(st.integers(1, 9), st.integers(1, 9_000)), min_size=1, max_size=9)


def segment(index: int, first_pts: int, durations: list[int]) -> Segment:
    end_pts = first_pts + sum(durations)
    return Segment(
        task_id="task",
        blob_key="key",
        epoch=1,
        index=index,
        bytes=1,
        sha256="0" * 64,
        first_pts=first_pts,
        end_pts=end_pts,
        first_sample=-(-first_pts // FRAME_TICKS) * FRAME,
        end_sample=-(-end_pts // FRAME_TICKS) * FRAME,
        frames=len(durations),
        wall_time=datetime(2026, 1, 1, tzinfo=UTC),
    )


@given(first_pts=st.integers(0, 5_000), shown=st.lists(DURATIONS, min_size=1, max_size=4))
def test_a_stretch_begins_and_ends_on_the_audio_grid(first_pts: int, shown: list[list[int]]) -> None:
    """The first picture is moved to the beginning, others stay, and the last one is shown until the end."""
    begins = accumulate((sum(durations) for durations in shown), initial=first_pts)
    segments = [
        segment(index, begin, durations)
        for index, (begin, durations) in enumerate(zip(begins, shown, strict=False))
    ]
    timeline = arrange(segments)
    if not timeline.stretches:
        return
    track = Track(PICTURES, b"stsd")
    runs = [
        Run(PICTURES, 0, table([9] * len(durations)), run_lengths(durations), table([0]))
        for durations in shown
    ]
    track.add(timeline.stretches[0], runs)

    end = timeline.samples * 15 // 8
    offset = segments[0].first_sample * 15 // 8
    expected = [0]
    for pts in list(accumulate((d for durations in shown for d in durations), initial=first_pts))[1:-1]:
        expected.append(max(pts - offset, expected[-1] + 1))
    durations = run_lengths_undone(bytes(track.durations))
    assert list(accumulate(durations, initial=0)) == [*expected, end]
    assert min(durations) > 0
    assert track.keys == [1 + sum(map(len, shown[:index])) for index in range(len(shown))]


@given(st.lists(st.integers(1, 1 << 31)))
def test_run_lengths(durations: list[int]) -> None:
    assert run_lengths_undone(run_lengths(durations)) == durations
    assert list(numbers(table(durations))) == durations
