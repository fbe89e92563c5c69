"""Segments of real encoder runs, joined and decoded."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import permutations
from pathlib import Path

import av
import numpy as np
import pytest

from panoreel.contracts.media import Segment
from panoreel.contracts.timeline import Timeline, arrange
from panoreel.transcoder.errors import NothingRecorded, ParameterSetsDiffer, SegmentDamaged
from panoreel.transcoder.mp4.movie import Movie, movie
from panoreel.transcoder.mp4.packaging import package
from panoreel.transcoder.pieces import PlannedPiece
from services.transcoder.tests.decoded import content_of, numbers, pictures, sound

SECOND = 90_000

Encode = Callable[..., list[Segment]]


@pytest.fixture
def libav_messages() -> Iterator[list[tuple[int, str, str]]]:
    """What libav has to complain about, from any thread."""
    av.logging.set_level(av.logging.WARNING)
    with av.logging.Capture(local=False) as messages:
        yield messages
    av.logging.set_level(None)


def join(timeline: Timeline, path: Path, announced: Sequence[Segment] | None = None) -> Movie:
    """The file of these pieces, one for every two segments in the order in which they were announced."""
    if announced is None:
        announced = [segment for stretch in timeline.stretches for segment in stretch.segments]
    planned = [
        PlannedPiece("mp4", number, tuple(announced[first : first + 2]), 0)
        for number, first in enumerate(range(0, len(announced), 2))
    ]
    packaged = [package(piece, content_of) for piece in planned]
    assert packaged == [package(piece, content_of) for piece in planned], "made again, it is the same"
    made = movie(timeline, [(piece.index or b"", len(piece.content)) for piece in packaged])
    path.write_bytes(made.content + b"".join(piece.content for piece in packaged))
    assert made.frames == sum(piece.frames for piece in packaged) or len(announced) > len(timeline.places)
    return made


def boxes(content: bytes, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Each box with its path (ISO/IEC 14496-12, 4.2)."""
    position = 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        kind = content[position + 4 : position + 8].decode()
        body = content[position + 8 : position + size]
        yield f"{path}/{kind}", body
        if kind in ("moov", "trak", "mdia", "minf", "stbl"):
            yield from boxes(body, f"{path}/{kind}")
        position += size


def check_file(path: Path, joined: Movie, timeline: Timeline) -> None:
    """A progressive MP4 with the index in front whose tracks begin at 0, of exactly the right length."""
    content = path.read_bytes()
    names = [name for name, _ in boxes(content)]
    assert names.index("/moov") < names.index("/mdat")
    assert not [name for name in names if name.endswith(("/edts", "/ctts", "/moof", "/mvex"))]
    with av.open(str(path)) as container:
        for stream in container.streams:
            assert stream.codec_context.codec_tag == {"video": "avc1", "audio": "mp4a"}[stream.type]
            assert stream.time_base == Fraction(1, {"video": 90_000, "audio": 48_000}[stream.type])
            assert stream.start_time == 0
            assert (stream.duration or 0) * stream.time_base == Fraction(timeline.samples, 48_000)
            end = 0
            for packet in container.demux(stream):
                if packet.pts is not None and packet.duration is not None:
                    assert packet.pts == packet.dts == end
                    end += packet.duration
            container.seek(0)
            assert end == stream.duration
        assert joined.frames == sum(video.frames for video in container.streams.video)
    # With the times of the file, which do not keep to a frame rate.
    times = ["-fps_mode", "passthrough", "-enc_time_base", "-1"]
    strictly = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), *times, "-f", "null", "-"]
    assert subprocess.run(strictly, stderr=subprocess.PIPE, check=True).stderr == b""


@pytest.mark.parametrize("crashed", [False, True])
def test_two_encoder_processes(
    encode: Encode, tmp_path: Path, libav_messages: list[object], crashed: bool
) -> None:
    """All numbers come out once and in order, at their times, whether the first run ended or broke off."""
    steps = [int(step) for step in np.random.default_rng(1).integers(1_600, 9_000, 140)]
    first = encode(1, steps)[: 2 if crashed else None]
    kept = sum(segment.frames for segment in first)
    second = encode(2, steps, preset="ultrafast", parameters={"crf": 28}, number=kept)
    timeline = arrange(second + first)
    joined = join(timeline, tmp_path / "out.mp4")
    check_file(tmp_path / "out.mp4", joined, timeline)

    frames = pictures(tmp_path / "out.mp4")
    assert joined.frames == kept + len(steps)
    assert numbers(frames) == list(range(joined.frames))
    begin = first[-1].end_sample * 15 // 8
    times = np.cumsum([0, *steps])
    assert [frame.pts for frame in frames] == [*times[:kept], *(begin + times[: len(steps)])]
    assert len(sound(tmp_path / "out.mp4")) == timeline.samples
    assert libav_messages == []


def test_a_lost_segment(encode: Encode, tmp_path: Path, libav_messages: list[object]) -> None:
    """The hole is closed: the pictures around it meet at an audio frame, and the sound goes on there."""
    segments = encode(1, [1_500] * 420)
    assert len(segments) == 4
    timeline = arrange([segments[0], segments[2], segments[3]])
    joined = join(timeline, tmp_path / "out.mp4")
    check_file(tmp_path / "out.mp4", joined, timeline)
    frames = pictures(tmp_path / "out.mp4")
    assert numbers(frames) == [*range(120), *range(240, 420)]
    meeting = segments[0].end_sample * 15 // 8
    assert frames[120].pts == meeting
    offset = meeting - segments[2].first_sample * 15 // 8
    later = [max(meeting + 1, 1_500 * number + offset) for number in range(241, 420)]
    assert [frame.pts for frame in frames[121:]] == later
    assert libav_messages == []


def test_every_pair_of_header_neutral_options(encode: Encode, tmp_path: Path) -> None:
    """Joined, each run decodes to the very pictures that it decodes to alone."""
    options = [(preset, 23) for preset in ("ultrafast", "superfast", "veryfast", "faster", "medium")]
    options += [("veryfast", 18), ("veryfast", 35)]
    runs, alone = [], []
    for epoch, (preset, crf) in enumerate(options, start=1):
        runs.append(encode(epoch, [3_000] * 12, preset=preset, parameters={"crf": crf}))
        join(arrange(runs[-1]), tmp_path / "alone.mp4")
        alone.append([frame.to_ndarray() for frame in pictures(tmp_path / "alone.mp4")])
    for one, other in permutations(range(len(options)), 2):
        (first,), (second,) = runs[one], runs[other]
        second = second.model_copy(update={"epoch": len(options) + 1, "wall_time": first.wall_time})
        pair = [first, second]
        join(arrange(pair), tmp_path / "pair.mp4")
        decoded = np.array([frame.to_ndarray() for frame in pictures(tmp_path / "pair.mp4")])
        assert np.array_equal(decoded, np.array(alone[one] + alone[other])), (options[one], options[other])


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize(("frequency", "phases"), [(100, (0.5, 3.4)), (440, (1.5, 4.7)), (3_000, (0, 2))])
def test_no_click_where_runs_meet(
    encode: Encode, tmp_path: Path, frequency: float, phases: tuple[float, float], crashed: bool
) -> None:
    """Even where a tone meets itself out of phase, no step is larger than one and a half of its own."""
    first = encode(1, [9_000] * 47, frequency=frequency, phase=phases[0])
    second = encode(2, [9_000] * 22, frequency=frequency, phase=phases[1])
    timeline = arrange([*first[: 1 if crashed else None], *second])
    join(timeline, tmp_path / "out.mp4")
    meeting = timeline.stretches[1].output_sample
    around = sound(tmp_path / "out.mp4")[meeting - 2_048 : meeting + 4_096]
    amplitude = 16_000 / 32_768
    own_step = 2 * amplitude * np.sin(np.pi * frequency / 48_000)
    assert np.abs(np.diff(around)).max() < 1.5 * own_step
    assert np.abs(around).max() < 1.5 * amplitude
    assert np.abs(around[-1_024:]).max() > 0.9 * amplitude


@pytest.mark.parametrize("tracks", ["audio", "video"])
def test_one_track(encode: Encode, tmp_path: Path, libav_messages: list[object], tracks: str) -> None:
    """Two encoder runs with sound or pictures alone, the first of which lost a segment."""
    first = encode(1, [3_000] * 200, parameters={"tracks": tracks})
    second = encode(2, [3_000] * 100, parameters={"tracks": tracks}, number=200)
    timeline = arrange([*first[:1], *first[2:], *second])
    joined = join(timeline, tmp_path / "out.mp4")
    check_file(tmp_path / "out.mp4", joined, timeline)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == [tracks]
    if tracks == "audio":
        assert joined.frames == 0
        assert len(sound(tmp_path / "out.mp4")) == timeline.samples
    else:
        lost = range(first[0].frames, first[0].frames + first[1].frames)
        shown = [number for number in range(300) if number not in lost]
        assert numbers(pictures(tmp_path / "out.mp4")) == shown
    assert libav_messages == []


@pytest.mark.parametrize("steps", [[90_000], [1]])
def test_one_picture(encode: Encode, tmp_path: Path, steps: list[int], libav_messages: list[object]) -> None:
    timeline = arrange(encode(1, steps))
    joined = join(timeline, tmp_path / "out.mp4")
    check_file(tmp_path / "out.mp4", joined, timeline)
    assert joined.frames == len(pictures(tmp_path / "out.mp4")) == 1
    assert 0 <= timeline.samples / 48_000 - steps[0] / SECOND < 1024 / 48_000
    assert libav_messages == []


def test_other_parameters_are_refused(encode: Encode, tmp_path: Path) -> None:
    segments = encode(1, [3_000]) + encode(2, [3_000], parameters={"reference_frames": 2})
    with pytest.raises(ParameterSetsDiffer):
        join(arrange(segments), tmp_path / "out.mp4")


def test_a_damaged_segment_is_refused(encode: Encode, tmp_path: Path) -> None:
    (segment,) = encode(1, [45_000] * 4)
    content = content_of(segment)
    for damaged in (content[:-1], content[:2_000], b"", content.replace(b"trun", b"tru?"), bytes(5_000)):
        so_announced = segment.model_copy(update={"sha256": hashlib.sha256(damaged).hexdigest()})
        for announced in (segment, so_announced):
            with pytest.raises(SegmentDamaged, match="segment 0 of epoch 1"):
                package(PlannedPiece("mp4", 0, (announced,), 0), partial(_given, damaged))
    fewer = segment.model_copy(update={"frames": 3})
    with pytest.raises(SegmentDamaged):
        package(PlannedPiece("mp4", 0, (fewer,), 0), content_of)


def test_a_late_segment_and_one_that_does_not_count(
    encode: Encode, tmp_path: Path, libav_messages: list[object]
) -> None:
    """What is announced late lies at the end and is shown in its place; what does not count is not shown."""
    first, second = encode(1, [3_000] * 150), encode(2, [3_000] * 80, number=150)
    late, dead = first.pop(1), first[-1].model_copy(update={"epoch": 1, "index": 9})
    dead = dead.model_copy(update={"wall_time": second[-1].wall_time})
    timeline = arrange([*first, late, *second, dead])
    assert (1, 9) not in timeline.places
    joined = join(timeline, tmp_path / "out.mp4", [*first, dead, *second, late])
    check_file(tmp_path / "out.mp4", joined, timeline)
    assert numbers(pictures(tmp_path / "out.mp4")) == list(range(230))
    assert len(sound(tmp_path / "out.mp4")) == timeline.samples
    assert libav_messages == []


def test_every_keyframe_is_sought(encode: Encode, tmp_path: Path) -> None:
    timeline = arrange(encode(1, [3_000] * 150, parameters={"keyframe_interval_s": 0.5}))
    join(timeline, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        for number in range(0, 150, 15):
            container.seek(number * 3_000, stream=container.streams.video[0])
            frame = next(container.decode(video=0))
            assert (frame.pts, numbers([frame])) == (number * 3_000, [number])


def test_more_than_4_gib(encode: Encode, tmp_path: Path, libav_messages: list[object]) -> None:
    """The second piece lies behind a hole, which takes no room on the disk."""
    segments = encode(1, [3_000] * 150)
    planned = [PlannedPiece("mp4", number, (segment,), 0) for number, segment in enumerate(segments)]
    first, *others = [package(piece, content_of) for piece in planned]
    timeline, hole = arrange(segments), (1 << 32) + 77
    sizes = [len(first.content) + hole, *(len(piece.content) for piece in others)]
    tables = [piece.index or b"" for piece in (first, *others)]
    joined = movie(timeline, zip(tables, sizes, strict=True))
    with (tmp_path / "out.mp4").open("wb") as file:
        file.write(joined.content + first.content)
        file.seek(hole, os.SEEK_CUR)
        file.writelines(piece.content for piece in others)
    assert b"co64" in joined.content
    assert b"stco" not in joined.content
    assert numbers(pictures(tmp_path / "out.mp4")) == list(range(150))
    assert len(sound(tmp_path / "out.mp4")) == timeline.samples
    assert libav_messages == []


def _given(content: bytes, _: Segment) -> bytes:
    return content


def test_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingRecorded):
        join(arrange([]), tmp_path / "out.mp4")
