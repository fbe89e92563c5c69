"""What of a recording makes a clip: ranges of its output, as parts of the encoder runs that it is made of.

Sound is cut between audio frames, at the border that is nearest. Ranges that adjoin in the recording adjoin
in the clip, and all are as long as asked for to within one audio frame.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from panoreel.contracts.events import ClipRange
from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE, VIDEO_TIMESCALE, Segment, ticks
from panoreel.contracts.timeline import Stretch, Timeline
from panoreel.transcoder.errors import PackagingError

_FRAME_TICKS: Final = ticks(AUDIO_FRAME_SAMPLES)


class RangeBeyondEnd(PackagingError):
    """A range ends after the recording does."""


@dataclass(frozen=True)
class Cut:
    """A part of one encoder run, on the run's own clock.

    Pictures are those that are shown from `begin_pts` until `end_pts`, in 90 kHz ticks: the first of them is
    there before. Sound is what lies between the samples, if there is any. `segments` hold all of it.
    """

    segments: tuple[Segment, ...]
    begin_pts: int
    end_pts: int
    first_sample: int
    end_sample: int
    shift: int
    """What leads to the clip's clock, in samples."""
    clip_sample: int
    """Where in the clip the part begins: a picture that was shown before is shown from here on."""


@dataclass(frozen=True)
class Clip:
    """Parts in the order in which they are joined, and the length of the whole in audio samples."""

    cuts: tuple[Cut, ...]
    samples: int


def plan(timeline: Timeline, ranges: Sequence[ClipRange]) -> Clip:
    """The parts that make up `ranges` of a recording's output.

    Raises:
        RangeBeyondEnd: there is no media up to the end of a range.
    """
    cuts: list[Cut] = []
    length = 0
    for number, wanted in enumerate(ranges):
        begin, end = round(wanted.start_s * VIDEO_TIMESCALE), round(wanted.end_s * VIDEO_TIMESCALE)
        if end > ticks(timeline.samples):
            recorded_s = timeline.samples / AUDIO_SAMPLE_RATE
            raise RangeBeyondEnd(
                f"Ranges[{number}].End is {wanted.end_s}, and only {recorded_s:.3f} s are recorded"
            )
        sound = _nearest_frames(begin, end)
        cuts += _cuts(timeline, (begin, max(end, begin + 1)), sound, length)
        length += sound[1] - sound[0]
    return Clip(tuple(cuts), length)


def _nearest_frames(begin: int, end: int) -> tuple[int, int]:
    """Between which samples the sound of a range is cut, which is given in ticks: one frame at least."""
    first, last = round(begin / _FRAME_TICKS), round(end / _FRAME_TICKS)
    if first == last:
        first = begin // _FRAME_TICKS
        last = first + 1
    return first * AUDIO_FRAME_SAMPLES, last * AUDIO_FRAME_SAMPLES


def _cuts(
    timeline: Timeline, pictures: tuple[int, int], sound: tuple[int, int], clip_sample: int
) -> Iterator[Cut]:
    """A range's parts: one of each stretch that it touches, in output time."""
    for stretch in timeline.stretches:
        begin = max(pictures[0], ticks(stretch.output_sample))
        end = min(pictures[1], ticks(stretch.output_end))
        if begin >= end:
            continue
        to_epoch = stretch.first_sample - stretch.output_sample
        first_sample = max(sound[0], stretch.output_sample) + to_epoch
        end_sample = min(sound[1], stretch.output_end) + to_epoch
        begin_pts, end_pts = begin + ticks(to_epoch), end + ticks(to_epoch)
        if begin == ticks(stretch.output_sample):
            begin_pts = stretch.segments[0].first_pts  # pictures before the sound are moved to here
        yield Cut(
            segments=_segments(stretch, (begin_pts, end_pts), (first_sample, end_sample)),
            begin_pts=begin_pts,
            end_pts=end_pts,
            first_sample=first_sample,
            end_sample=end_sample,
            shift=clip_sample - sound[0] - to_epoch,
            clip_sample=clip_sample + max(0, stretch.output_sample - sound[0]),
        )


def _segments(stretch: Stretch, pictures: tuple[int, int], sound: tuple[int, int]) -> tuple[Segment, ...]:
    """Those that hold it: a segment's sound begins up to an audio frame after its pictures."""
    segments = stretch.segments
    first = bisect_right(segments, pictures[0], key=lambda segment: segment.first_pts) - 1
    end = bisect_left(segments, pictures[1], key=lambda segment: segment.first_pts)
    first_heard = bisect_right(segments, sound[0], key=lambda segment: segment.end_sample)
    return segments[max(0, min(first, first_heard)) : end]
