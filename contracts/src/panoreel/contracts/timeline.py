"""Where each segment lies in the output: media after media, whatever was lost in between.

The output is measured in audio frames, because sound cannot be cut elsewhere without encoding it anew;
the pictures follow, also where there is no sound. Wherever media is missing the output goes on with what
comes next, without a hole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import (
    Gap,
    GapRecorded,
    PauseRequested,
    RecordingResumed,
    ResumeRequested,
    StopRequested,
)
from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, Segment


@dataclass(frozen=True)
class Stretch:
    """Segments of one encoder run that follow each other without a hole.

    It takes the output from `output_sample` on, for `samples` audio samples (a multiple of the audio
    frame): what its sound lasts. Its pictures are shown from its beginning to its end.
    """

    segments: tuple[Segment, ...]
    output_sample: int

    @property
    def first_sample(self) -> int:
        """The epoch's sample that lies at `output_sample`."""
        return self.segments[0].first_sample

    @property
    def epoch(self) -> int:
        """Whose run it is."""
        return self.segments[0].epoch

    @property
    def samples(self) -> int:
        """How long the stretch is."""
        return self.segments[-1].end_sample - self.first_sample

    @property
    def output_end(self) -> int:
        """The output sample where the next stretch begins."""
        return self.output_sample + self.samples


@dataclass(frozen=True)
class Timeline:
    """Stretches in the order of the output, without hole or overlap, and what was lost between them."""

    stretches: tuple[Stretch, ...]
    gaps: tuple[Gap, ...]

    @property
    def samples(self) -> int:
        """The output's length in audio samples."""
        return self.stretches[-1].output_end if self.stretches else 0

    @property
    def places(self) -> dict[tuple[int, int], int]:
        """Where in the output each segment begins that is in it, in audio samples, by epoch and index."""
        return {
            (segment.epoch, segment.index): stretch.output_sample
            + segment.first_sample
            - stretch.first_sample
            for stretch in self.stretches
            for segment in stretch.segments
        }


Span = tuple[datetime, datetime]
"""From, until."""


def pauses(history: Iterable[StoredEvent]) -> tuple[Span, ...]:
    """The pauses that were asked for and ended, by a task's events in their order.

    One lasts until its recorder has carried out the end.
    """
    found: list[Span] = []
    began: datetime | None = None
    for stored in history:
        match stored.event:
            case PauseRequested():
                began = began or stored.envelope.time
            case ResumeRequested() | StopRequested() if began:
                found.append((began, stored.envelope.time))
                began = None
            case RecordingResumed() if found:
                found[-1] = found[-1][0], stored.envelope.time
    return tuple(found)


def follows(before: Segment, after: Segment) -> bool:
    """Whether the encoder's run went on from one segment to the other without a hole."""
    return (after.epoch, after.index, after.first_pts, after.first_sample) == (
        before.epoch,
        before.index + 1,
        before.end_pts,
        before.end_sample,
    )


def arrange(
    segments: Iterable[Segment],
    paused: Sequence[Span] = (),
    told: Sequence[GapRecorded] = (),
    damaged: Sequence[Segment] = (),
) -> Timeline:
    """The timeline of everything recorded for a task: any epochs, in any order, some of it lost.

    What was `paused` is not lost. What recorders `told` that they lost themselves lies within their media.
    `damaged` segments are known, and cannot be read.
    """
    stretches: list[Stretch] = []
    for group in _contiguous(_counting(segments)):
        stretch = Stretch(tuple(group), stretches[-1].output_end if stretches else 0)
        if stretch.samples:  # less than one audio frame, at a recording's very end, after a loss
            stretches.append(stretch)
    within = {stretch.epoch for stretch in stretches}
    told = [fact for fact in told if fact.epoch in within]  # else it is part of a gap between two others
    # What was told is no part of what else was lost around it.
    known = [*paused, *((fact.began, fact.ended) for fact in told)]
    gaps = [
        *_told(stretches, paused, told),
        *_gaps(stretches, known),
        *_gap_at_end(stretches, known, damaged),
    ]
    return Timeline(tuple(stretches), tuple(sorted(gaps, key=lambda gap: (gap.output_s, gap.wall_time))))


def _counting(segments: Iterable[Segment]) -> list[Segment]:
    """The segments in order, without those that a superseded recorder began after its successor did."""
    ordered = sorted(segments, key=lambda segment: (segment.epoch, segment.index))
    begins: dict[int, datetime] = {}
    for segment in ordered:
        begins.setdefault(segment.epoch, _epoch_begin(segment))
    return [
        segment
        for segment in ordered
        if not any(epoch > segment.epoch and begin < segment.wall_time for epoch, begin in begins.items())
    ]


def _contiguous(segments: list[Segment]) -> list[list[Segment]]:
    groups = [[segment] for segment in segments[:1]]
    for before, after in pairwise(segments):
        if follows(before, after):
            groups[-1].append(after)
        else:
            groups.append([after])
    return groups


def _gaps(stretches: list[Stretch], known: Sequence[Span]) -> Iterable[Gap]:
    """Lost time before each stretch. Clocks of two machines may differ, and epochs overlap: then, none."""
    before: Segment | None = None
    for stretch in stretches:
        after = stretch.segments[0]
        began = _end(before) if before else _epoch_begin(after)
        lost_s = _lasting_s((began, after.wall_time), known)
        if lost_s > 0:
            yield Gap(output_s=stretch.output_sample / AUDIO_SAMPLE_RATE, lost_s=lost_s, wall_time=began)
        before = stretch.segments[-1]


def _gap_at_end(stretches: list[Stretch], known: Sequence[Span], damaged: Sequence[Segment]) -> Iterable[Gap]:
    """What is lost after all stretches."""
    if not stretches:
        return
    last = stretches[-1].segments[-1]
    began = _end(last)
    ended = max(
        (_end(segment) for segment in damaged if (segment.epoch, segment.index) > (last.epoch, last.index)),
        default=began,
    )
    lost_s = _lasting_s((began, ended), known)
    if lost_s > 0:
        yield Gap(output_s=stretches[-1].output_end / AUDIO_SAMPLE_RATE, lost_s=lost_s, wall_time=began)


def _told(stretches: list[Stretch], paused: Sequence[Span], told: Sequence[GapRecorded]) -> Iterable[Gap]:
    """What recorders told that have media in the output."""
    for fact in told:
        place = _place([stretch for stretch in stretches if stretch.epoch == fact.epoch], fact)
        lost_s = _lasting_s((fact.began, fact.ended), paused)
        if lost_s > 0:
            yield Gap(output_s=place / AUDIO_SAMPLE_RATE, lost_s=lost_s, wall_time=fact.began)


def _place(stretches: list[Stretch], fact: GapRecorded) -> int:
    """The output sample where media goes on after a gap: a segment begins there, or there is no more."""
    for stretch in stretches:
        for segment in stretch.segments:
            if _end(segment) > fact.ended:
                return stretch.output_sample + segment.first_sample - stretch.first_sample
    return stretches[-1].output_end


def _lasting_s(span: Span, but: Iterable[Span]) -> float:
    """How long a span lasts, without its parts that belong to others, which may overlap each other."""
    from_, until = span
    left_s = 0.0
    for begin, end in [*sorted(but), (until, until)]:
        left_s += max(0.0, (min(begin, until) - from_).total_seconds())
        from_ = max(from_, end)
    return left_s


def _epoch_begin(segment: Segment) -> datetime:
    """When the first picture of the segment's epoch was shown."""
    return segment.wall_time - timedelta(seconds=segment.first_pts / VIDEO_TIMESCALE)


def _end(segment: Segment) -> datetime:
    """Until when its last picture was shown."""
    return segment.wall_time + timedelta(seconds=(segment.end_pts - segment.first_pts) / VIDEO_TIMESCALE)
