"""The playlists of an HLS output (RFC 8216)."""

from collections.abc import Callable, Iterable, Sequence
from math import ceil

from panoreel.contracts.events import HlsEncryption
from panoreel.contracts.media import AUDIO_SAMPLE_RATE, EncoderParameters
from panoreel.contracts.outputs import HLS_PIECE_S, Piece

Name = Callable[[int], str]
"""Gives the name of a piece's file, relative to the playlist."""


def final(pieces: Sequence[Piece], name: Name, encryption: HlsEncryption | None) -> bytes:
    """The playlist of a recording that has ended, with the pieces in the order of the output."""
    return _playlist("VOD", pieces, name, encryption, _longest_s(pieces))


def live(
    pieces: Sequence[Piece],
    name: Name,
    encryption: HlsEncryption | None,
    encoder: EncoderParameters,
    *,
    ended: bool,
) -> bytes:
    """A playlist that can be followed while the recording runs; the pieces are in the order of their numbers.

    It only gets longer (RFC 8216, 6.2.1). A piece that came late, after what follows it, is not in it.
    """
    in_time: list[Piece] = []
    for piece in pieces:
        if not in_time or piece.segments > in_time[-1].segments:
            in_time.append(piece)
    # Fixed from the beginning: a piece is closed by the segment that makes it long enough.
    target_s = max(HLS_PIECE_S + encoder.longest_segment_s, _longest_s(in_time))
    return _playlist("EVENT", in_time, name, encryption, target_s, ended=ended)


def _playlist(
    kind: str,
    pieces: Iterable[Piece],
    name: Name,
    encryption: HlsEncryption | None,
    target_s: float,
    ended: bool = True,
) -> bytes:
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        f"#EXT-X-TARGETDURATION:{ceil(target_s)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{kind}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    if encryption:
        lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="{encryption.auth_url}",IV=0x{encryption.iv}')
    before: Piece | None = None
    for piece in pieces:
        if before and not _continues(before, piece):
            lines.append("#EXT-X-DISCONTINUITY")
        lines += [f"#EXTINF:{_duration_s(piece):.6f},", name(piece.number)]
        before = piece
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join([*lines, ""]).encode()


def _continues(before: Piece, after: Piece) -> bool:
    """Whether times and encoding go on without a break (RFC 8216, 4.3.2.3)."""
    epoch, index = before.segments[-1]
    return (
        after.segments[0] == (epoch, index + 1) and after.first_sample == before.first_sample + before.samples
    )


def _longest_s(pieces: Iterable[Piece]) -> float:
    return max((_duration_s(piece) for piece in pieces), default=0)


def _duration_s(piece: Piece) -> float:
    return piece.samples / AUDIO_SAMPLE_RATE
