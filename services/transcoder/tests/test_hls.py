"""Pieces of HLS, made from segments of real encoder runs."""

import io
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest

from panoreel.contracts.media import Segment
from panoreel.transcoder import hls
from panoreel.transcoder.errors import ParameterSetsDiffer, SegmentDamaged
from panoreel.transcoder.hls import Encryption
from panoreel.transcoder.pieces import PackagedPiece, Plan, PlannedPiece
from services.transcoder.tests.decoded import content_of, numbers, pictures

PAT, PMT, VIDEO, AUDIO = 0, 0x1000, 0x100, 0x101
OFFSET = 126_000
"""All media is shown 1.4 s later than its place, so that clock references can precede it."""

# Forms and bytes of the key's and the IV's test data.
KEY = bytes.fromhex("21834cca41778803e1afba3f41e70c90")
IV = bytes.fromhex("000102030405060708090a0b0c0d0e0f")

Encode = Callable[..., list[Segment]]


@pytest.fixture(scope="module")
def segments(encode: Encode) -> list[Segment]:
    """Of one encoder run, in two pieces."""
    return encode(1, [4_500] * 160)


@pytest.fixture(scope="module")
def two_runs(encode: Encode) -> list[Segment]:
    """One after the other, with other frame rates."""
    return [*encode(1, [3_000] * 200), *encode(2, [1_500] * 100, number=200)]


def planned(segments: Sequence[Segment]) -> list[PlannedPiece]:
    plan = Plan("hls")
    for segment in segments:
        plan.add(segment)
    return [*plan.pieces, *plan.rest()]


def packaged(segments: Sequence[Segment], encryption: Encryption | None = None) -> list[PackagedPiece]:
    return [hls.package(piece, content_of, encryption) for piece in planned(segments)]


def pids(content: bytes) -> list[int]:
    """Of each packet (ISO/IEC 13818-1, 2.4.3.2)."""
    assert len(content) % 188 == 0
    packets = [content[position : position + 188] for position in range(0, len(content), 188)]
    assert {packet[0] for packet in packets} == {0x47}
    return [int.from_bytes(packet[1:3], "big") & 0x1FFF for packet in packets]


def sound(content: bytes) -> list[tuple[int, int]]:
    """Place and length of each frame of sound, in samples."""
    with av.open(io.BytesIO(content), "r", format="mpegts") as container:
        frames = list(container.decode(audio=0))
    return [((frame.pts - OFFSET) * 48_000 // 90_000, frame.samples) for frame in frames if frame.pts]


def test_pieces_show_everything_in_order_at_its_time(encode: Encode) -> None:
    """Pictures and sound of two encoder runs, each played on from the piece before and from its beginning."""
    steps = [int(step) for step in np.random.default_rng(1).integers(1_600, 9_000, 150)]
    first = encode(1, steps)
    second = encode(2, steps, number=len(steps))
    plan = planned([*first, *second])
    assert len(plan) == 4
    pieces = packaged([*first, *second])

    frames = pictures(b"".join(piece.content for piece in pieces))
    assert numbers(frames) == list(range(2 * len(steps)))
    times = np.cumsum([0, *steps])[: len(steps)]
    begin = first[-1].end_sample * 15 // 8
    assert [frame.pts - OFFSET for frame in frames if frame.pts] == [*times, *(begin + times)]
    assert [len(pictures(piece.content)) for piece in pieces] == [piece.frames for piece in pieces]

    for piece, packaged_piece in zip(plan, pieces, strict=True):
        heard = sound(packaged_piece.content)
        places = list(range(piece.first_sample, piece.first_sample + piece.samples, 1024))
        assert [place for place, _ in heard] == pytest.approx(places, abs=1)
        assert {samples for _, samples in heard} == {1024}


def test_a_piece_can_be_played_by_itself(segments: list[Segment]) -> None:
    """PAT, PMT, and then a keyframe with what its decoder needs (RFC 8216, 3.2)."""
    pieces = packaged(segments)
    assert len(pieces) == 2
    for piece in pieces:
        order = pids(piece.content)
        assert order[:3] == [PAT, PMT, VIDEO]
        assert set(order) == {PAT, PMT, VIDEO, AUDIO}
        with av.open(io.BytesIO(piece.content), "r", format="mpegts") as container:
            first = next(packet for packet in container.demux(video=0))
            assert first.is_keyframe
            units = [
                unit[0] & 0x1F for unit in bytes(first).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
            ]
            assert [unit for unit in units if unit != 6] == [9, 7, 8, 5]  # delimiter, SPS, PPS, IDR
            header = bytes(next(packet for packet in container.demux(audio=0)))[:2]
            # ADTS: ISO/IEC 13818-7, 6.2.
            assert (header[0], header[1] & 0xF6) == (0xFF, 0xF0)


def test_whoever_packages_makes_the_same(segments: list[Segment]) -> None:
    encryption = Encryption(KEY, IV)
    assert packaged(segments) == packaged(segments)
    assert packaged(segments, encryption) == packaged(segments, encryption)


def test_encryption(segments: list[Segment]) -> None:
    """What openssl decrypts is the piece; key and IV are the same for all of them."""
    for plain, sealed in zip(packaged(segments), packaged(segments, Encryption(KEY, IV)), strict=True):
        assert len(sealed.content) % 16 == 0
        command = ["openssl", "enc", "-d", "-aes-128-cbc", "-K", KEY.hex(), "-iv", IV.hex()]
        opened = subprocess.run(command, input=sealed.content, stdout=subprocess.PIPE, check=True).stdout
        assert opened == plain.content
    assert KEY.hex() not in repr(Encryption(KEY, IV))
    assert repr(KEY) not in repr(Encryption(KEY, IV))


@pytest.mark.parametrize("tracks", ["audio", "video"])
def test_one_track(encode: Encode, tracks: str) -> None:
    segments = encode(1, [3_000] * 240, parameters={"tracks": tracks})
    pieces = packaged(segments)
    content = b"".join(piece.content for piece in pieces)
    with av.open(io.BytesIO(content), "r", format="mpegts") as container:
        assert [stream.type for stream in container.streams] == [tracks]
    if tracks == "video":
        assert numbers(pictures(content)) == list(range(240))
    else:
        assert sum(samples for _, samples in sound(content)) == segments[-1].end_sample
        assert sum(piece.frames for piece in pieces) == 0


def test_a_segment_that_cannot_be_read_is_left_out(encode: Encode) -> None:
    """The hole in its piece is closed."""
    segments = encode(1, [1_500] * 400)
    whole = planned(segments)[0]
    piece = whole.without(whole.segments[1])
    made = hls.package(piece, content_of)
    frames = pictures(made.content)
    assert numbers(frames) == [*range(120), *range(240, 360)]
    times = [frame.pts for frame in frames if frame.pts is not None]
    assert times == sorted(set(times))
    heard = sound(made.content)
    assert [place for place, _ in heard] == pytest.approx(range(0, piece.samples, 1024), abs=1)


@pytest.mark.parametrize("steps", [[90_000], [1]])
def test_one_picture(encode: Encode, steps: list[int]) -> None:
    (piece,) = packaged(encode(1, steps))
    assert piece.frames == len(pictures(piece.content)) == 1


def test_what_does_not_belong_together_is_refused(encode: Encode, segments: list[Segment]) -> None:
    (other,) = encode(1, [3_000], parameters={"reference_frames": 2})
    mixed = PlannedPiece("hls", 0, (segments[0], other), 0)
    with pytest.raises(ParameterSetsDiffer):
        hls.package(mixed, content_of)
    with pytest.raises(SegmentDamaged, match="segment 0 of epoch 1"):
        hls.package(planned(segments)[0], lambda segment: content_of(segment)[:-1] + b"\0")


@pytest.mark.parametrize(("served", "plays"), [(None, True), (KEY, True), (KEY[::-1], False)])
def test_played(two_runs: list[Segment], tmp_path: Path, served: bytes | None, plays: bool) -> None:
    """By ffmpeg, which stops at the first flaw: plain, encrypted, and with a wrong key."""
    pieces = packaged(two_runs, Encryption(KEY, IV) if served else None)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:9"]
        if served:
            (tmp_path / "key").write_bytes(served)
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="{address}/key",IV=0x{IV.hex()}')
        for number, (plan, piece) in enumerate(zip(planned(two_runs), pieces, strict=True)):
            (tmp_path / f"{number}.ts").write_bytes(piece.content)
            lines += [f"#EXTINF:{plan.samples / 48_000:.6f},", f"{number}.ts"]
        (tmp_path / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
        for how in (
            ["-fps_mode", "vfr", "-f", "null", "-"],
            ["-c", "copy", "-y", str(tmp_path / "copy.mp4")],
        ):
            command = ["ffmpeg", "-v", "error", "-xerror", "-i", f"{address}/index.m3u8", *how]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode == 0 and not done.stderr) == plays, done.stderr
        server.shutdown()
    if plays:
        with av.open(str(tmp_path / "copy.mp4")) as container:
            assert numbers(list(container.decode(video=0))) == list(range(300))
