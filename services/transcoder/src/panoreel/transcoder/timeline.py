"""Where each segment lies in the output: media after media, whatever was lost in between.

The output is measured in audio frames, because sound cannot be cut elsewhere without encoding it anew;
the pictures follow, also where there is no sound. Wherever media is missing the output goes on with what
comes next, without a hole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from panoreel.contracts.envelope import StoredEvent
from panoreel.contracts.events import (
    Gap,
    PauseRequested,
    RecordingResumed,
    ResumeRequested,
    StopRequested,
)
from panoreel.contracts.media import AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, Segment

TOLERANCE_S: Final = 0.1
"""A recorder's clock may be set by so much while it records, without anything being lost."""


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
    """The pauses that were asked for and ended, by a task's events in their order.

    One lasts until its recorder has carried out the end.
    """
    found: list[Pause] = []
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
    """Lost time before each segment. Clocks of two machines may differ, and epochs overlap: then, none."""
    before: Segment | None = None
    for stretch in stretches:
        for segment in stretch.segments:
            began = _end(before) if before else _epoch_begin(segment)
            lost_s = (segment.wall_time - began).total_seconds()
            lost_s -= sum(_overlap_s((began, segment.wall_time), pause) for pause in paused)
            if lost_s > (0 if segment is stretch.segments[0] else TOLERANCE_S):
                output_sample = stretch.output_sample + segment.first_sample - stretch.first_sample
                yield Gap(output_s=output_sample / AUDIO_SAMPLE_RATE, lost_s=lost_s, wall_time=began)
            before = segment


def _overlap_s(one: Pause, other: Pause) -> float:
    return max(0.0, (min(one[1], other[1]) - max(one[0], other[0])).total_seconds())


def _epoch_begin(segment: Segment) -> datetime:
    """When the first picture of the segment's epoch was shown."""
    return segment.wall_time - timedelta(seconds=segment.first_pts / VIDEO_TIMESCALE)


def _end(segment: Segment) -> datetime:
    """Until when its last picture was shown."""
    return segment.wall_time + timedelta(seconds=(segment.end_pts - segment.first_pts) / VIDEO_TIMESCALE)
