"""Pieces of HLS: MPEG-2 transport streams (ISO/IEC 13818-1) of a few seconds, of media as it is encoded."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import io
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import av
from av.packet import Packet
from av.stream import Stream
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from panoreel.contracts.media import VIDEO_TIMESCALE, ticks
from panoreel.transcoder.pieces import PackagedPiece, PlannedPiece
from panoreel.transcoder.source import Read, opened

_MPEGTS: Final = {
    # The counters of packets begin anew in each piece, and say so: else decoders take it for a loss.
    "mpegts_flags": "initial_discontinuity",
    # Whoever opens a piece begins in front: its tables need not come again.
    "pat_period": "3600",
    "sdt_period": "3600",
    # Clock references precede the media by so many microseconds, and all media is shown later by twice that.
    "max_delay": "700000",
    "avoid_negative_ts": "disabled",
    "fflags": "+bitexact",
}

_TS_PACKET_BYTES: Final = 188
_SDT_PID: Final = 0x11


@dataclass(frozen=True)
class Encryption:
    """AES-128 in CBC mode with PKCS#7 padding over each piece as a whole: RFC 8216, 4.3.2.4."""

    key: bytes = field(repr=False)
    iv: bytes

    def encrypt(self, content: bytes) -> bytes:
        """The content, padded to a multiple of 16 bytes."""
        padder = PKCS7(algorithms.AES128.block_size).padder()
        encryptor = Cipher(algorithms.AES128(self.key), modes.CBC(self.iv)).encryptor()
        return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def package(piece: PlannedPiece, read: Read, encryption: Encryption | None = None) -> PackagedPiece:
    """A transport stream that begins with PAT, PMT and a keyframe with its parameter sets (RFC 8216, 3.2).

    Its time stamps follow from `first_sample`, so that pieces play without a gap one after the other.

    Raises:
        SegmentDamaged: a segment's checksum differs from the announced one.
        ParameterSetsDiffer: two segments were encoded with different settings.
    """
    file, frames = io.BytesIO(), 0
    with (
        opened(piece.segments, read) as source,
        av.open(file, "w", format="mpegts", container_options=_MPEGTS) as container,
    ):
        tracks = [container.add_stream_from_template(track, opaque=True) for track in source.streams]
        for packet in _placed(piece, source.demux()):
            frames += packet.stream.type == "video"
            packet.stream = tracks[packet.stream.index]
            container.mux(packet)
    content = _without_sdt(file.getvalue())
    return PackagedPiece(encryption.encrypt(content) if encryption else content, frames)


def _placed(piece: PlannedPiece, packets: Iterator[Packet[Stream]]) -> Iterator[Packet[Stream]]:
    """The packets with their times in the output.

    A segment's sound begins where its place is; its first picture up to an audio frame before.
    """
    first_pts = [segment.first_pts for segment in piece.segments]
    first_samples = [segment.first_sample for segment in piece.segments]
    lengths = (segment.end_sample - segment.first_sample for segment in piece.segments)
    places = list(accumulate(lengths, initial=piece.first_sample))
    last_picture = -VIDEO_TIMESCALE
    for packet in packets:
        if packet.pts is None:  # the demuxer's sign for the end
            continue
        if packet.stream.type == "video":
            index = bisect_right(first_pts, packet.pts) - 1
            pts = packet.pts + ticks(places[index] - first_samples[index])
            packet.pts = last_picture = max(pts, last_picture + 1)
        else:
            index = bisect_right(first_samples, packet.pts) - 1
            packet.pts += places[index] - first_samples[index]
        packet.dts = packet.pts
        yield packet


def _without_sdt(content: bytes) -> bytes:
    """libav begins with a table of services that HLS has no use for; a piece is to begin with its PAT."""
    pid = int.from_bytes(content[1:3], "big") & 0x1FFF
    return content[_TS_PACKET_BYTES:] if pid == _SDT_PID else content
