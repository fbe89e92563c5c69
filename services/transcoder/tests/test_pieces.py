"""Where pieces begin and end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from panoreel.contracts.media import Segment
from panoreel.contracts.outputs import OutputKind
from panoreel.transcoder.pieces import Plan, PlannedPiece

MIB = 1 << 20


def segments(count: int, *, size: int = MIB, seconds: int = 2, epoch: int = 1) -> list[Segment]:
    """An encoder's run of segments, each so long and with so many bytes of media."""
    frames = 30 * seconds
    headers = 2048 + 16 * (frames + 48_000 * seconds // 1024)
    return [
        Segment(
            task_id="task",
            blob_key=f"segments/task/{epoch}/{index}.mp4",
            epoch=epoch,
            index=index,
            bytes=size + headers,
            sha256="0" * 64,
            first_pts=index * 90_000 * seconds,
            end_pts=(index + 1) * 90_000 * seconds,
            first_sample=index * 48_000 * seconds,
            end_sample=(index + 1) * 48_000 * seconds,
            frames=frames,
            wall_time=datetime(2026, 1, 1, epoch, tzinfo=UTC),
        )
        for index in range(count)
    ]


def planned(output: OutputKind, announced: Sequence[Segment], **options: float) -> list[PlannedPiece]:
    """All pieces; each is complete with the announcement of its last segment, at the latest of the next."""
    plan = Plan(output, **options)
    for segment in announced:
        for piece in plan.add(segment):
            assert piece.segments[-1] == segment or output == "hls"
    return [*plan.pieces, *plan.rest()]


def places(pieces: Sequence[PlannedPiece]) -> list[list[tuple[int, int]]]:
    return [[(segment.epoch, segment.index) for segment in piece.segments] for piece in pieces]


def test_parts_of_an_mp4_are_as_long_as_stores_want_them() -> None:
    """In the order of announcements, whatever that is."""
    announced = [*segments(16)[8:], *segments(16)[:8], *segments(20, size=100, epoch=2)]
    pieces = planned("mp4", announced)
    assert [segment for piece in pieces for segment in piece.segments] == announced
    assert [len(piece.segments) for piece in pieces] == [5, 8, 23]
    assert [piece.number for piece in pieces] == [0, 1, 2]
    assert all(
        before.first_sample + before.samples == after.first_sample for before, after in pairwise(pieces)
    )
    assert planned("mp4", []) == []


def test_10_000_parts_make_any_mp4() -> None:
    """The largest object has 5 TiB (S3 user guide, "Amazon S3 multipart upload limits")."""
    plan, size = Plan("mp4"), 64 * MIB
    segment, *_ = segments(1, size=size)
    for _ in range((5 << 40) // size):
        plan.add(segment)
    assert len(plan.pieces) < 10_000
    assert max(len(piece.segments) for piece in plan.pieces) * size < 5 << 30


def test_what_is_left_out_keeps_its_room() -> None:
    (piece,) = planned("mp4", segments(5))
    assert piece.without(piece.segments[2]).left_out_bytes == MIB


@pytest.mark.parametrize(
    ("announced", "pieces"),
    [
        (segments(7), [[0, 1, 2], [3, 4, 5], [6]]),
        (segments(2, seconds=10), [[0], [1]]),
        ([*segments(8)[:1], *segments(8)[2:]], [[0], [2, 3, 4], [5, 6, 7]]),
        ([*segments(8)[:4], segments(8)[5], segments(8)[4]], [[0, 1, 2], [3], [5], [4]]),
        ([segments(1)[0], *segments(3, epoch=2)], [[0], [0, 1, 2]]),
        ([segments(1)[0], segments(1, seconds=8, epoch=2)[0]], [[0], [0]]),
    ],
    ids=["in a row", "long", "a hole", "late", "another run", "two at once"],
)
def test_hls_pieces_hold_what_follows_on_each_other(
    announced: list[Segment], pieces: list[list[int]]
) -> None:
    found = planned("hls", announced)
    assert [[segment.index for segment in piece.segments] for piece in found] == pieces
    assert sum(piece.samples for piece in found) == sum(s.end_sample - s.first_sample for s in announced)
    assert all(
        before.first_sample + before.samples == after.first_sample for before, after in pairwise(found)
    )


def test_what_ends_a_sheet_also_begins_the_next() -> None:
    announced = segments(40, seconds=2)
    pieces = planned("sprites", announced, thumbnail_s=1.4)  # 35 s a sheet
    assert places(pieces) == [
        [(1, index) for index in range(18)],
        [(1, index) for index in range(17, 35)],
        [(1, index) for index in range(35, 40)],
    ]
    assert [piece.first_sample for piece in pieces] == [0, 34 * 48_000, 70 * 48_000]


def test_one_poster() -> None:
    assert places(planned("poster", segments(40))) == [[(1, index) for index in range(15)]]
    assert places(planned("poster", segments(2))) == [[(1, 0), (1, 1)]]
