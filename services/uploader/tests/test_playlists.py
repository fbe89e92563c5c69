"""Playlists by RFC 8216."""

import re
from itertools import pairwise

import pytest

from panoreel.contracts.events import HlsEncryption
from panoreel.contracts.media import EncoderParameters
from panoreel.contracts.outputs import Piece
from panoreel.uploader import playlists

SECOND = 48_000
ENCODER = EncoderParameters(width=320, height=180)
IV = "000102030405060708090a0b0c0d0e0f"
ENCRYPTION = HlsEncryption(auth_url="https://keys.example/?a=1&b=2", iv=IV)


def piece(number: int, segments: list[tuple[int, int]], first_sample: int, seconds: float = 6.016) -> Piece:
    return Piece(
        task_id="task",
        output="hls",
        number=number,
        blob_key=f"outputs/task/hls/{number}",
        bytes=188,
        sha256="0" * 64,
        segments=tuple(segments),
        first_sample=first_sample,
        samples=round(seconds * SECOND),
        frames=180,
    )


def name(number: int) -> str:
    return f"recording-{number:05d}.ts"


LENGTH = piece(0, [(1, 0)], 0).samples
FIRST = piece(0, [(1, 0), (1, 1), (1, 2)], 0)
SECOND_PIECE = piece(1, [(1, 3), (1, 4)], LENGTH, 4.5)
PIECES = [FIRST, SECOND_PIECE]


def lines(playlist: bytes) -> list[str]:
    assert playlist.endswith(b"\n")
    return playlist.decode().splitlines()


@pytest.mark.parametrize("encryption", [None, ENCRYPTION])
def test_the_final_playlist(encryption: HlsEncryption | None) -> None:
    key = [f'#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/?a=1&b=2",IV=0x{IV}'] if encryption else []
    assert lines(playlists.final(PIECES, name, encryption)) == [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        "#EXT-X-TARGETDURATION:7",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *key,
        "#EXTINF:6.016000,",
        "recording-00000.ts",
        "#EXTINF:4.500000,",
        "recording-00001.ts",
        "#EXT-X-ENDLIST",
    ]


def test_a_live_playlist_only_gets_longer() -> None:
    """Nothing that was said changes, not even the target duration when the last piece is a long one."""
    pieces = [*PIECES, piece(2, [(1, 5)], SECOND_PIECE.first_sample + SECOND_PIECE.samples, 8.99)]
    said = [playlists.live(pieces[:count], name, ENCRYPTION, ENCODER, ended=False) for count in range(1, 4)]
    said.append(playlists.live(pieces, name, ENCRYPTION, ENCODER, ended=True))
    for before, after in pairwise(said):
        assert after.startswith(before)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in lines(said[0])
    assert said[0].count(b"#EXT-X-KEY") == 1
    assert [b"#EXT-X-ENDLIST" in each for each in said] == [False, False, False, True]


@pytest.mark.parametrize(("keyframe_interval_s", "target"), [(0.5, 10), (2, 9), (10, 17)])
def test_a_live_playlist_allows_for_the_longest_piece(keyframe_interval_s: float, target: int) -> None:
    encoder = ENCODER.model_copy(update={"keyframe_interval_s": keyframe_interval_s})
    said = lines(playlists.live(PIECES, name, None, encoder, ended=False))
    assert f"#EXT-X-TARGETDURATION:{target}" in said


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (piece(1, [(1, 3)], LENGTH), False),
        (piece(1, [(1, 4)], LENGTH), True),  # a segment was lost
        (piece(1, [(2, 0)], LENGTH), True),  # another encoder
        (piece(2, [(1, 3)], 2 * LENGTH), True),  # announced after something else
    ],
)
def test_discontinuities(after: Piece, told: bool) -> None:
    for playlist in (
        playlists.final([FIRST, after], name, None),
        playlists.live([FIRST, after], name, None, ENCODER, ended=True),
    ):
        assert lines(playlist).count("#EXT-X-DISCONTINUITY") == told
        if told:
            assert lines(playlist)[-4:-2] == ["#EXT-X-DISCONTINUITY", "#EXTINF:6.016000,"]


def test_a_late_piece_is_in_the_final_playlist_only() -> None:
    second, late = piece(1, [(2, 0)], LENGTH), piece(2, [(1, 3)], 2 * LENGTH)
    following = piece(3, [(2, 1)], 3 * LENGTH)
    live = lines(playlists.live([FIRST, second, late, following], name, None, ENCODER, ended=True))
    assert re.findall(r"0000\d", " ".join(live)) == ["00000", "00001", "00003"]
    assert live.count("#EXT-X-DISCONTINUITY") == 2
    final = lines(playlists.final([FIRST, late, second, following], name, None))
    assert re.findall(r"0000\d", " ".join(final)) == ["00000", "00002", "00001", "00003"]
    assert final.count("#EXT-X-DISCONTINUITY") == 3


def test_no_pieces() -> None:
    assert "#EXT-X-ENDLIST" in lines(playlists.final([], name, None))
