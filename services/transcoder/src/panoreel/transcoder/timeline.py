"""Where each segment lies in the output: media after media, whatever was lost in between.

The output is measured in audio frames, because sound cannot be cut elsewhere without encoding it anew;
the pictures follow. Wherever media is missing the output goes on with what comes next, without a hole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import Gap, PauseRequested, ResumeRequested, StopRequested
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


Pause = tuple[datetime, datetime]
"""When nothing was to be recorded: from, until."""


def pauses(history: Iterable[StoredEvent]) -> tuple[Pause, ...]:
    """The pauses that were asked for and ended, by a task's events in their order."""
    found: list[Pause] = []
    began: datetime | None = None
    for stored in history:
        match stored.event:
            case PauseRequested():
                began = began or stored.envelope.time
            case ResumeRequested() | StopRequested() if began:
                found.append((began, stored.envelope.time))
                began = None
    return tuple(found)


def arrange(segments: Iterable[Segment], paused: Sequence[Pause] = ()) -> Timeline:
    """The timeline of everything recorded for a task: any epochs, in any order, some of it lost.

    What was `paused` is not lost.
    """
    stretches: list[Stretch] = []
    for group in _contiguous(_counting(segments)):
        stretch = Stretch(tuple(group), stretches[-1].output_end if stretches else 0)
        if stretch.samples:  # less than one audio frame, at a recording's very end, after a loss
            stretches.append(stretch)
    return Timeline(tuple(stretches), tuple(_gaps(stretches, paused)))


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
        if (after.epoch, after.index, after.first_pts, after.first_sample) == (
            before.epoch,
            before.index + 1,
            before.end_pts,
            before.end_sample,
        ):
            groups[-1].append(after)
        else:
            groups.append([after])
    return groups


def _gaps(stretches: list[Stretch], paused: Sequence[Pause]) -> Iterable[Gap]:
    """Lost time before each stretch. Clocks of two machines may differ, and epochs overlap: then, none."""
    ended: datetime | None = None
    for stretch in stretches:
        first, last = stretch.segments[0], stretch.segments[-1]
        began = _epoch_begin(first) if ended is None else ended
        lost_s = (first.wall_time - began).total_seconds()
        lost_s -= sum(_overlap_s((began, first.wall_time), pause) for pause in paused)
        if lost_s > 0:
            yield Gap(output_s=stretch.output_sample / AUDIO_SAMPLE_RATE, lost_s=lost_s, wall_time=began)
        ended = last.wall_time + timedelta(seconds=(last.end_pts - last.first_pts) / VIDEO_TIMESCALE)


def _overlap_s(one: Pause, other: Pause) -> float:
    return max(0.0, (min(one[1], other[1]) - max(one[0], other[0])).total_seconds())


def _epoch_begin(segment: Segment) -> datetime:
    """When the first picture of the segment's epoch was shown."""
    return segment.wall_time - timedelta(seconds=segment.first_pts / VIDEO_TIMESCALE)
