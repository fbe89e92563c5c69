"""Pictures of segments from real encoder runs."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from panoreel.contracts.events import ThumbnailRequest
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.transcoder.errors import SegmentDamaged
from panoreel.transcoder.pieces import PackagedPiece, Plan, PlannedPiece
from panoreel.transcoder.thumbnails import package_poster, package_sheet, webvtt
from services.transcoder.tests.decoded import content_of
from tests.servers.epoch import Epoch

WIDTH, HEIGHT = 320, 180
BIT = 16
TENTH = 9_000

Encode = Callable[..., list[Segment]]


def sheets(
    segments: Sequence[Segment], request: ThumbnailRequest
) -> list[tuple[PlannedPiece, PackagedPiece, Image.Image]]:
    plan = Plan("sprites", request.interval_s)
    for segment in segments:
        plan.add(segment)
    pieces = [(piece, package_sheet(piece, content_of, request)) for piece in (*plan.pieces, *plan.rest())]
    return [(piece, made, Image.open(io.BytesIO(made.content))) for piece, made in pieces]


def poster_of(segments: Sequence[Segment]) -> Image.Image:
    piece = PlannedPiece("poster", 0, tuple(segments), 0)
    return Image.open(io.BytesIO(package_poster(piece, content_of).content))


def number(image: Image.Image) -> int:
    luma = np.asarray(image.convert("L"))[BIT // 2, BIT // 2 : 16 * BIT : BIT]
    return sum(1 << bit for bit, value in enumerate(luma) if value > 125)


def cues(content: bytes) -> list[tuple[str, str, tuple[int, ...]]]:
    """When, in which file, and where in it."""
    header, *blocks = content.decode().split("\n\n")
    assert header == "WEBVTT"
    found = []
    for block in blocks:
        times, place = block.splitlines()
        file, _, fragment = place.partition("#xywh=")
        found.append((times, file, tuple(int(value) for value in fragment.split(","))))
    return found


def test_each_cue_shows_what_is_shown_at_its_time(encode: Encode) -> None:
    """Two encoder runs, in one of which the pictures come slowly; sheets end within segments."""
    first = encode(1, [TENTH] * 203)
    second = encode(2, [45_000] * 24, number=203)
    request = ThumbnailRequest(interval_s=1, width=WIDTH)
    made = sheets([*first, *second], request)
    samples = first[-1].end_sample + second[-1].end_sample
    vtt = webvtt(samples, request, EncoderParameters(width=319, height=180), "sheet-{}.jpg".format)

    begin = first[-1].end_sample * 15 // 8
    begins = [TENTH * index for index in range(203)] + [begin + 45_000 * index for index in range(24)]
    shown = [sum(time <= 90_000 * second for time in begins) - 1 for second in range(33)]
    found = cues(vtt)
    assert [piece.frames for _, piece, _ in made] == [25, 8]
    assert [image.size for _, _, image in made] == [(5 * WIDTH, 5 * HEIGHT), (5 * WIDTH, 2 * HEIGHT)]
    assert [file for _, file, _ in found] == ["sheet-0.jpg"] * 25 + ["sheet-1.jpg"] * 8
    pictures = []
    for _, file, (x, y, width, height) in found:
        image = made[int(file[6])][2]
        assert (width, height) == (WIDTH, HEIGHT)
        pictures.append(number(image.crop((x, y, x + width, y + height))))
    assert pictures == shown
    assert found[1][0] == "00:00:01.000 --> 00:00:02.000"
    assert found[-1][0].startswith("00:00:32.000 --> 00:00:32.")


def test_a_sheet_reads_only_what_it_shows(encode: Encode) -> None:
    segments = encode(1, [TENTH] * 200)
    asked = []

    def read(segment: Segment) -> bytes:
        asked.append(segment.index)
        return content_of(segment)

    package_sheet(PlannedPiece("sprites", 0, tuple(segments), 0), read, ThumbnailRequest(interval_s=7))
    assert asked == [sum(segment.end_pts <= second * 90_000 for segment in segments) for second in (0, 7, 14)]


@pytest.mark.parametrize(
    ("samples", "last"),
    [
        (48_000 * 25, "00:00:20.000 --> 00:00:25.000"),
        (48_000 * 25 + 1024, "00:00:25.000 --> 00:00:25.021"),
        (48_000 * 36_000, "09:59:55.000 --> 10:00:00.000"),
    ],
)
def test_the_last_cue_ends_with_the_output(samples: int, last: str) -> None:
    vtt = webvtt(samples, ThumbnailRequest(interval_s=5), EncoderParameters(width=1280, height=720), str)
    assert cues(vtt)[-1][0] == last
    assert cues(vtt)[0][2] == (0, 0, 160, 90)


def test_the_poster_shows_something(tmp_path: Path) -> None:
    """Plain pictures are passed over, as long as there is another one, and its colours are the page's."""
    white = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    blue, green, red = (0, 0, 255), (0, 255, 0), (255, 0, 0)
    bars = np.array([blue, green, red, (40, 120, 200)], np.uint8).repeat(WIDTH // 4, 0)
    colourful = np.zeros_like(white)
    colourful[:, :, 2::-1] = bars
    plain = encoded(tmp_path / "plain", [white] * 25)
    something = encoded(tmp_path / "something", [white, white, colourful, white])
    assert poster_of(plain).getpixel((9, 9)) == (255, 255, 255)
    assert poster_of(plain).size == (WIDTH, HEIGHT)
    found = np.asarray(poster_of([*plain, *something]))[HEIGHT // 2, WIDTH // 8 :: WIDTH // 4]
    assert found.astype(int) == pytest.approx(bars[:: WIDTH // 4].astype(int), abs=4)


def encoded(root: Path, pictures: list[NDArray[np.uint8]]) -> list[Segment]:
    """Ten of them a second, without sound."""
    epoch = Epoch(root, EncoderParameters(width=WIDTH, height=HEIGHT))
    for index, picture in enumerate(pictures):
        epoch.encoder.video(picture, TENTH * index)
    epoch.encoder.close(TENTH * len(pictures))
    return [Segment(**m.model_dump(), task_id="task", blob_key=str(path)) for path, m in epoch.reported]


def test_a_damaged_segment_is_told(encode: Encode) -> None:
    (segment,) = encode(1, [TENTH])
    piece = PlannedPiece("poster", 0, (segment,), 0)
    with pytest.raises(SegmentDamaged, match="segment 0 of epoch 1"):
        package_poster(piece, lambda segment: content_of(segment)[:-1])
    with pytest.raises(SegmentDamaged, match="segment 0 of epoch 1"):
        package_sheet(piece, lambda segment: content_of(segment)[:-1], ThumbnailRequest())
