"""The timeline has neither hole nor overlap, whatever was recorded and whatever was lost."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoreel.contracts.envelope import Cause, Envelope, StoredEvent
from panoreel.contracts.events import (
    Event,
    GapRecorded,
    PauseRequested,
    RecordingPaused,
    RecordingResumed,
    ResumeRequested,
    StopRequested,
)
from panoreel.contracts.media import Segment
from panoreel.contracts.timeline import arrange, pauses

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = 1024
FRAME_TICKS = 1920


def epoch_segments(epoch: int, begin_s: float, lengths: Iterable[int]) -> list[Segment]:
    """An epoch's segments of the given `lengths` in ticks, cut as the encoder cuts them."""
    segments: list[Segment] = []
    pts = 0
    for index, length in enumerate(lengths):
        end_pts = pts + length
        segments.append(
            Segment(
                task_id="task",
                blob_key=f"{epoch}/{index}",
                epoch=epoch,
                index=index,
                bytes=1,
                sha256="0" * 64,
                first_pts=pts,
                end_pts=end_pts,
                first_sample=-(-pts // FRAME_TICKS) * FRAME,
                end_sample=-(-end_pts // FRAME_TICKS) * FRAME,
                frames=1,
                wall_time=BEGIN + timedelta(seconds=begin_s + pts / 90_000),
            )
        )
        pts = end_pts
    return segments


LENGTHS = st.lists(st.integers(1, 360_000), min_size=1, max_size=5)


@st.composite
def recordings(draw: st.DrawFn) -> list[Segment]:
    """Up to four epochs that may overlap in time, with segments lost, in any order."""
    begins = sorted(draw(st.lists(st.integers(0, 30), min_size=0, max_size=4)))
    segments = [
        segment
        for number, begin_s in enumerate(begins, start=1)
        for segment in epoch_segments(number, begin_s, draw(LENGTHS))
    ]
    kept = draw(st.lists(st.booleans(), min_size=len(segments), max_size=len(segments)))
    return draw(st.permutations([segment for segment, keep in zip(segments, kept, strict=True) if keep]))


@given(recordings())
def test_the_output_has_neither_hole_nor_overlap(segments: list[Segment]) -> None:
    timeline = arrange(segments)
    end = 0
    for stretch in timeline.stretches:
        assert stretch.output_sample == end
        assert stretch.samples > 0
        assert stretch.samples % FRAME == 0
        end += sum(segment.end_sample - segment.first_sample for segment in stretch.segments)
        assert stretch.output_end == end
        for before, after in pairwise(stretch.segments):
            assert (before.epoch, before.index + 1) == (after.epoch, after.index)
            assert (before.end_sample, before.end_pts) == (after.first_sample, after.first_pts)
    assert timeline.samples == end


@given(recordings())
def test_everything_counts_but_what_a_successor_replaced(segments: list[Segment]) -> None:
    used = [segment for stretch in arrange(segments).stretches for segment in stretch.segments]
    assert used == sorted(used, key=lambda segment: (segment.epoch, segment.index))
    assert len(used) == len({(segment.epoch, segment.index) for segment in used})
    for segment in segments:
        later = [other for other in segments if other.epoch > segment.epoch]
        begins = [other.wall_time - timedelta(seconds=other.first_pts / 90_000) for other in later]
        if segment in used:
            assert not any(segment.wall_time > begin for begin in begins)
        else:
            empty = segment.first_sample == segment.end_sample
            assert empty or any(segment.wall_time > begin for begin in begins)


@given(recordings())
def test_gaps_lie_where_stretches_begin(segments: list[Segment]) -> None:
    timeline = arrange(segments)
    begins = [stretch.output_sample / 48_000 for stretch in timeline.stretches]
    places = [gap.output_s for gap in timeline.gaps]
    assert places == sorted(set(places))
    assert set(places) <= set(begins)
    assert all(gap.lost_s > 0 for gap in timeline.gaps)


@given(LENGTHS)
def test_an_epoch_without_loss_is_one_stretch(lengths: list[int]) -> None:
    timeline = arrange(epoch_segments(1, 0, lengths))
    assert len(timeline.stretches) == 1
    assert timeline.gaps == ()
    assert timeline.samples == -(-sum(lengths) // FRAME_TICKS) * FRAME


def test_nothing_recorded() -> None:
    assert arrange([]).stretches == ()
    assert arrange([]).samples == 0


def test_a_lost_segment_and_a_lost_recorder() -> None:
    first = epoch_segments(1, 0, [180_000, 180_000, 180_000])
    second = epoch_segments(2, 10, [90_000])
    timeline = arrange([first[0], first[2], *second])
    assert [len(stretch.segments) for stretch in timeline.stretches] == [1, 1, 1]
    (hole, change) = timeline.gaps
    assert (hole.output_s, hole.lost_s) == (first[0].end_sample / 48_000, 2)
    assert hole.wall_time == BEGIN + timedelta(seconds=2)
    assert change.output_s == (first[0].end_sample + first[2].end_sample - first[2].first_sample) / 48_000
    assert (change.lost_s, change.wall_time) == (4, BEGIN + timedelta(seconds=6))


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def test_what_is_damaged_at_the_end_is_lost() -> None:
    segments = epoch_segments(1, 0, [180_000] * 4)
    (gap,) = arrange(segments[:2], damaged=segments[2:]).gaps
    assert (gap.output_s, gap.lost_s) == (segments[1].end_sample / 48_000, 4)
    assert gap.wall_time == segments[2].wall_time
    assert arrange(segments[2:], damaged=segments[:2]).gaps == arrange(segments[2:]).gaps


@pytest.mark.parametrize(
    ("paused", "lost_s"),
    [
        ((), 6.0),
        (((4, 9),), 1.0),
        # Only what lies between the two recorders' media counts.
        (((1, 2), (3, 5), (8, 12)), 3.0),
        (((4, 10),), 0.0),
        (((0, 60),), 0.0),
    ],
)
def test_what_was_paused_was_not_lost(paused: tuple[tuple[float, float], ...], lost_s: float) -> None:
    segments = [*epoch_segments(1, 0, [360_000]), *epoch_segments(2, 10, [90_000])]
    found = arrange(segments, [(at(begin), at(end)) for begin, end in paused]).gaps
    assert [gap.lost_s for gap in found] == ([lost_s] if lost_s else [])


@pytest.mark.parametrize(
    ("gaps", "paused", "found"),
    [
        # Where clocks have drifted, or a pause took its time, nothing was lost.
        ([], [], []),
        ([(3.0, 5.5)], [], [(3.072, 2.5)]),
        # A pause within is no loss; nor is what nobody could record any more, at the end.
        ([(3.0, 8.0)], [(4, 5), (4.5, 6)], [(3.072, 3.0)]),
        ([(3.0, 5.5), (9.0, 11.0)], [], [(3.072, 2.5), (5.077, 2.0)]),
        ([(3.0, 5.5)], [(2, 6)], []),
    ],
)
def test_capture_that_broke_off_and_went_on(
    gaps: list[tuple[float, float]], paused: list[tuple[float, float]], found: list[tuple[float, float]]
) -> None:
    """Media that follows on within an epoch, although capture broke off in between."""
    segments = epoch_segments(1, 0, [180_000, 96_000, 180_000])
    jump = timedelta(seconds=max((end - begin for begin, end in gaps[:1]), default=0.2))
    segments[2] = segments[2].model_copy(update={"wall_time": segments[2].wall_time + jump})
    told = [GapRecorded(epoch=1, cause="browser", began=at(begin), ended=at(end)) for begin, end in gaps]
    timeline = arrange(segments, [(at(begin), at(end)) for begin, end in paused], told)
    assert len(timeline.stretches) == 1
    assert [(round(gap.output_s, 3), gap.lost_s) for gap in timeline.gaps] == found


def test_a_gap_that_was_told_counts_once() -> None:
    """Before a lost recorder's end, where only its successor's media follows; and one without any media."""
    segments = [*epoch_segments(1, 0, [180_000]), *epoch_segments(3, 10, [90_000])]
    told = [
        GapRecorded(epoch=1, cause="crashed", began=at(2), ended=at(5)),
        GapRecorded(epoch=2, cause="crashed", began=at(6), ended=at(7)),
    ]
    gaps = arrange(segments, told=told).gaps
    assert [(round(gap.output_s, 2), gap.lost_s) for gap in gaps] == [(2.01, 3.0), (2.01, 5.0)]


def stored(event: Event, second: float) -> StoredEvent:
    envelope = Envelope(uuid4(), event.type, event.version, at(second), Cause("test"))
    return StoredEvent(1, "task", envelope, event, b"{}")


def test_pauses_last_from_their_request_until_they_have_ended() -> None:
    history = [
        stored(PauseRequested(), 1),
        stored(RecordingPaused(epoch=1), 1.1),
        stored(ResumeRequested(), 5),
        stored(RecordingResumed(epoch=1), 5.2),
        stored(PauseRequested(), 7),
        stored(StopRequested(reason="api"), 9),
        stored(StopRequested(reason="api", force=True), 10),
    ]
    assert pauses(history) == ((at(1), at(5.2)), (at(7), at(9)))


def test_a_lost_beginning() -> None:
    segments = epoch_segments(1, 0, [180_000, 90_000])[1:]
    (gap,) = arrange(segments).gaps
    assert (gap.output_s, gap.lost_s, gap.wall_time) == (0, 2, BEGIN)


@pytest.mark.parametrize(("begin_s", "counting"), [(3.9, 2), (4, 3), (4.1, 3)])
def test_a_stale_recorder(begin_s: float, counting: int) -> None:
    """What the old recorder begins after its successor's first picture is left out."""
    stale = epoch_segments(1, 0, [180_000, 180_000, 180_000])
    timeline = arrange([*stale, *epoch_segments(2, begin_s, [90_000])])
    assert len(timeline.stretches[0].segments) == counting
    assert timeline.gaps == ()
