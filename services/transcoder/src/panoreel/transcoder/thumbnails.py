"""Pictures of a recording: a poster, and sheets of small pictures with a WebVTT that tells their times."""

import io
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import ceil
from typing import Final

from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation
from PIL import Image, ImageStat

from panoreel.contracts import x264
from panoreel.contracts.events import ThumbnailRequest
from panoreel.contracts.media import AUDIO_SAMPLE_RATE, EncoderParameters, Segment, ticks
from panoreel.transcoder.pieces import SHEET_PICTURES, PackagedPiece, PlannedPiece
from panoreel.transcoder.source import Read, opened

_COLUMNS: Final = 5
_SHEET_QUALITY: Final = 75
_POSTER_QUALITY: Final = 85

_NOISE: Final = 8
"""A plain colour may vary by so many levels after it was encoded."""


def package_sheet(piece: PlannedPiece, read: Read, request: ThumbnailRequest) -> PackagedPiece:
    """A JPEG of the small pictures whose times lie in the piece, row by row.

    Of the recording's pictures, number n on sheet n // `SHEET_PICTURES` is the one that is shown n intervals
    after the beginning.

    Raises:
        SegmentDamaged: a segment's checksum differs from the announced one.
    """
    images = [
        _image(frame, request.width, _height(request, frame.width, frame.height))
        for frame in _shown(piece, read, request)
    ]
    height = images[0].height if images else 2
    sheet = Image.new("RGB", (request.width * _COLUMNS, height * max(1, ceil(len(images) / _COLUMNS))))
    for index, image in enumerate(images):
        row, column = divmod(index, _COLUMNS)
        sheet.paste(image, (column * request.width, row * height))
    return PackagedPiece(_jpeg(sheet, _SHEET_QUALITY), len(images))


def package_poster(piece: PlannedPiece, read: Read) -> PackagedPiece:
    """A JPEG of the first picture in the piece that is not one plain colour, else of the first one.

    Raises:
        SegmentDamaged: a segment's checksum differs from the announced one.
    """
    first: VideoFrame | None = None
    for segment in piece.segments:
        for frame in _pictures(segment, read):
            first = first or frame
            if not _is_plain(frame):
                return PackagedPiece(_jpeg(_image(frame, frame.width, frame.height), _POSTER_QUALITY), 1)
    assert first is not None, "every segment of a recording with pictures has one"
    return PackagedPiece(_jpeg(_image(first, first.width, first.height), _POSTER_QUALITY), 1)


def webvtt(
    samples: int, request: ThumbnailRequest, encoder: EncoderParameters, name: Callable[[int], str]
) -> bytes:
    """The cues of an output that is so many audio samples long; `name` gives a sheet's file name.

    The places are media fragments (W3C Media Fragments URI 1.0, 4.2.2), as players of WebVTT thumbnails
    expect them.
    """
    height = _height(request, *x264.coded_size(encoder))
    interval = _interval_samples(request)
    blocks = ["WEBVTT\n"]
    for number, begin in enumerate(range(0, samples, interval)):
        sheet, index = divmod(number, SHEET_PICTURES)
        row, column = divmod(index, _COLUMNS)
        place = f"{column * request.width},{row * height},{request.width},{height}"
        times = f"{_timestamp(begin)} --> {_timestamp(min(begin + interval, samples))}"
        blocks.append(f"{times}\n{name(sheet)}#xywh={place}\n")
    return "\n".join(blocks).encode()


def _shown(piece: PlannedPiece, read: Read, request: ThumbnailRequest) -> Iterator[VideoFrame]:
    """What is shown at the times that belong on the sheet, as far as the piece has media for them."""
    numbers = range(piece.number * SHEET_PICTURES, (piece.number + 1) * SHEET_PICTURES)
    lengths = (segment.end_sample - segment.first_sample for segment in piece.segments)
    *places, end = (ticks(place) for place in accumulate(lengths, initial=piece.first_sample))
    # The first picture comes up to an audio frame before the sound.
    begins = [
        place + segment.first_pts - ticks(segment.first_sample)
        for place, segment in zip(places, piece.segments, strict=True)
    ]
    wanted: dict[int, list[int]] = {}
    for number in numbers:
        moment = ticks(number * _interval_samples(request))
        index = bisect_right(begins, moment) - 1
        if index >= 0 and moment < end:
            wanted.setdefault(index, []).append(moment - begins[index] + piece.segments[index].first_pts)
    for index, times in wanted.items():
        yield from _shown_at(times, _pictures(piece.segments[index], read))


def _shown_at(times: list[int], pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """For each of the ascending times, the last picture that begins by then; the first one at least."""
    shown, following = next(pictures), next(pictures, None)
    for time in times:
        while following and following.pts is not None and following.pts <= time:
            shown, following = following, next(pictures, None)
        yield shown


def _pictures(segment: Segment, read: Read) -> Iterator[VideoFrame]:
    with opened((segment,), read) as source:
        yield from source.decode(source.streams.video[0])


def _is_plain(frame: VideoFrame) -> bool:
    extrema = [ImageStat.Stat(_of_plane(plane, "L")).extrema[0] for plane in frame.planes]
    return all(high - low <= _NOISE for low, high in extrema)


def _image(frame: VideoFrame, width: int, height: int) -> Image.Image:
    scaled = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA)
    return _of_plane(scaled.planes[0], "RGB")


def _of_plane(plane: VideoPlane, mode: str) -> Image.Image:
    return Image.frombytes(mode, (plane.width, plane.height), bytes(plane), "raw", mode, plane.line_size)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _interval_samples(request: ThumbnailRequest) -> int:
    return round(request.interval_s * AUDIO_SAMPLE_RATE)


def _height(request: ThumbnailRequest, width: int, height: int) -> int:
    """A small picture's height in pixels, even as the width usually is."""
    return max(2, round(request.width * height / width / 2) * 2)


def _timestamp(samples: int) -> str:
    """W3C WebVTT, 4.3: hours may be left out, but not every player knows."""
    milliseconds = samples * 1000 // AUDIO_SAMPLE_RATE
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}"
