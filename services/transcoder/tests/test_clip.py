"""Clips of real encoder runs: which pictures and which sound are in them, and when."""

import hashlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from panoreel.contracts.events import ClipRange
from panoreel.contracts.media import EncoderParameters, Segment
from panoreel.contracts.timeline import Timeline, arrange
from panoreel.transcoder.cut import RangeBeyondEnd, plan
from panoreel.transcoder.errors import ParameterSetsDiffer, SegmentDamaged
from panoreel.transcoder.source import opened
from panoreel.transcoder.splice import SplicedFile, splice
from services.transcoder.tests.decoded import content_of, numbers, pictures, sound

SECOND, FRAME = 90_000, 1_920

Encode = Callable[..., list[Segment]]
Ranges = list[tuple[float, float]]


@dataclass
class Recording:
    """Pictures numbered from 0 on; number n is shown from the output's tick `shown[n]` until the next."""

    segments: list[Segment]
    shown: list[int]
    encoder: EncoderParameters

    @property
    def timeline(self) -> Timeline:
        return arrange(self.segments)

    def numbers(self, begin_s: float, end_s: float) -> list[int]:
        """Which pictures are shown in between."""
        begin, end = round(begin_s * SECOND), round(end_s * SECOND)
        until = [*self.shown[1:], self.timeline.samples * 15 // 8]
        spans = zip(self.shown, until, strict=True)
        return [number for number, (since, until) in enumerate(spans) if since < end and until > begin]


@pytest.fixture(scope="module")
def recording(encode: Encode) -> Recording:
    """12 s in two encoder runs, with a pause in the first and a keyframe each second."""
    parameters = {"width": 319, "height": 180, "keyframe_interval_s": 1}
    first = [FRAME * int(frames) for frames in np.random.default_rng(1).integers(1, 4, 160)]
    second = [int(step) for step in np.random.default_rng(2).integers(1_600, 6_000, 120)]
    segments = encode(1, first, parameters=parameters, frequency=447.1, pauses=[55])
    segments += encode(2, second, parameters=parameters, frequency=611.3, number=len(first))
    begin = sum(first)
    shown = [*accumulate(first[:-1], initial=0), *accumulate(second[:-1], initial=begin)]
    return Recording(segments, shown, EncoderParameters.model_validate(parameters))


def clip(recording: Recording, ranges: Ranges, path: Path) -> SplicedFile:
    wanted = [ClipRange(start_s=begin, end_s=end) for begin, end in ranges]
    return splice(plan(recording.timeline, wanted), content_of, recording.encoder, path)


def recorded_sound(recording: Recording) -> NDArray[np.float32]:
    """All of it, from one decoder."""
    decoder = AudioCodecContext.create("aac", "r")
    decoded = []
    for stretch in recording.timeline.stretches:
        with opened(stretch.segments, content_of) as source:
            decoder.extradata = decoder.extradata or source.streams.audio[0].codec_context.extradata
            for packet in source.demux(audio=0):
                if packet.pts is not None:
                    decoded += [frame.to_ndarray()[0] for frame in decoder.decode(packet)]
    return np.concatenate(decoded)


def packets(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        found = [(packet.pts, bytes(packet)) for packet in container.demux(video=0)]
    return [(pts, content) for pts, content in found if pts is not None]


def check_file(path: Path, spliced: SplicedFile, ranges: Ranges) -> None:
    """It is what was told, it decodes without a word, and each track begins at 0 and has no hole."""
    content = path.read_bytes()
    assert (spliced.bytes, spliced.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert content.index(b"moov") < content.index(b"mdat")
    # Its usual clock is too coarse for pictures that follow each other soon.
    options = ["-enc_time_base", "-1", "-f", "null", "-"]
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), *options]
    decoding = subprocess.run(command, check=True, capture_output=True, text=True)
    assert decoding.stderr == ""
    frame_s = Fraction(FRAME, SECOND)
    assert abs(spliced.duration_s - sum(end - begin for begin, end in ranges)) <= frame_s * len(ranges)
    with av.open(str(path)) as container:
        for stream in container.streams:
            assert stream.start_time == 0
            end = 0
            for packet in container.demux(stream):
                if packet.pts is not None:
                    assert packet.pts == packet.dts == end
                    end += packet.duration or 0
            assert end == stream.duration
            assert stream.time_base is not None
            assert abs(end * stream.time_base - Fraction(spliced.duration_s)) < frame_s
            container.seek(0)


def check_synchronous(recording: Recording, ranges: Ranges, path: Path) -> None:
    """Each range's sound is found where the range is, and pictures have the distance to it that they had.

    The first one is not shown before its range begins, nor is one before the last one of another range.
    """
    heard, all_heard = sound(path), recorded_sound(recording)
    frames = iter(pictures(path))
    begin, shown = 0, -1
    for start_s, end_s in ranges:
        end = begin + 1_024 * (round(end_s * 46.875) - round(start_s * 46.875))
        # The first frame of sound is faded in.
        part = heard[begin + 1_024 : end]
        places = range(0, len(all_heard) - len(part) + 1, 1_024)
        matching = [at for at in places if np.abs(all_heard[at:][: len(part)] - part).max() < 1e-4]
        assert len(matching) == 1
        origin = matching[0] - 1_024
        assert abs(origin - start_s * 48_000) <= 512
        for number in recording.numbers(start_s, end_s):
            distance = recording.shown[number] - origin * 15 // 8
            shown = max(begin * 15 // 8 + max(0, distance), shown + 1)
            assert next(frames).pts == shown
        begin = end
    assert begin == len(heard)


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param([(1.3, 2.25), (4.9, 6.61), (8.02, 9.3)], id="three"),
        pytest.param([(2.2, 5.2), (5.2, 8.3), (8.3, 11.0)], id="adjoining, over a pause and two runs"),
        pytest.param([(6.4, 8.4), (6.6, 7.1), (6.4, 6.9)], id="overlapping"),
        pytest.param([(0.0, 10.9)], id="long"),
    ],
)
def test_pictures_and_sound(recording: Recording, tmp_path: Path, ranges: Ranges) -> None:
    spliced = clip(recording, ranges, tmp_path / "clip.mp4")
    check_file(tmp_path / "clip.mp4", spliced, ranges)
    expected = [number for begin, end in ranges for number in recording.numbers(begin, end)]
    assert numbers(pictures(tmp_path / "clip.mp4")) == expected
    assert spliced.frames == len(expected)
    check_synchronous(recording, ranges, tmp_path / "clip.mp4")


def test_one_picture(recording: Recording, tmp_path: Path) -> None:
    """A range within a picture's time is that picture, and one frame of sound."""
    begins = [shown / SECOND for shown in recording.shown]
    for number in (0, 31, 159, 160, 279):
        spliced = clip(recording, [(begins[number], begins[number] + 0.0001)], tmp_path / "clip.mp4")
        assert numbers(pictures(tmp_path / "clip.mp4")) == [number]
        assert spliced.duration_s == 1024 / 48_000


def test_nothing_is_encoded_anew_from_a_keyframe_on(recording: Recording, tmp_path: Path) -> None:
    """The clip holds the very bytes of the recording: all of them, or those from the next keyframe on."""
    segments = recording.segments[:3]
    media = [packet for segment in segments for packet in packets(Path(segment.blob_key))]
    key_s, next_key_s = (segment.first_pts / SECOND for segment in segments[1:])
    clip(recording, [(key_s, next_key_s)], tmp_path / "clip.mp4")
    whole = [content for _, content in packets(tmp_path / "clip.mp4")]
    assert whole == [content for _, content in packets(Path(segments[1].blob_key))]

    begin_s = key_s - 0.5
    clip(recording, [(begin_s, next_key_s)], tmp_path / "clip.mp4")
    cut = [content for _, content in packets(tmp_path / "clip.mp4")]
    anew = len(cut) - len(whole)
    assert cut[anew:] == whole
    assert len(recording.numbers(begin_s, key_s)) == anew > 0
    assert not set(cut[:anew]) & {content for _, content in media}


def test_what_is_encoded_anew_looks_the_same(recording: Recording, tmp_path: Path) -> None:
    begin_s, end_s = 2.3, 4.6
    clip(recording, [(begin_s, end_s)], tmp_path / "clip.mp4")
    clip(recording, [(0, end_s)], tmp_path / "all.mp4")
    shown = pictures(tmp_path / "clip.mp4")
    for one, other in zip(shown, pictures(tmp_path / "all.mp4")[-len(shown) :], strict=True):
        difference = one.to_ndarray().astype(int) - other.to_ndarray()
        assert np.mean(difference**2) < 6.5, "40 dB"


@pytest.mark.parametrize(
    "parameters",
    [
        {"width": 1281, "height": 721, "fps": 10},
        {"tracks": "audio"},
        {"tracks": "video"},
        {"profile": "main", "transform_8x8": False, "reference_frames": 3, "bitrate": 900_000},
        {"profile": "baseline", "transform_8x8": False, "cabac": False, "weighted_prediction": 0},
    ],
    ids=["odd size", "sound alone", "pictures alone", "by bit rate", "baseline"],
)
def test_any_encoder(encode: Encode, tmp_path: Path, parameters: dict[str, object]) -> None:
    parameters = {"width": 319, "height": 180} | parameters
    steps = [18_000] * 15
    encoder = EncoderParameters.model_validate(parameters)
    shown = list(accumulate(steps[:-1], initial=0))
    recording = Recording(encode(1, steps, parameters=parameters), shown, encoder)
    ranges = [(0.55, 1.05), (1.5, 2.6)]
    spliced = clip(recording, ranges, tmp_path / "clip.mp4")
    check_file(tmp_path / "clip.mp4", spliced, ranges)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        kinds = [stream.type for stream in container.streams]
        video = container.streams.video[0] if container.streams.video else None
        size = (video.width, video.height) if video else None
    assert kinds == ([encoder.tracks] if encoder.tracks != "both" else ["video", "audio"])
    if encoder.tracks == "audio":
        assert spliced.frames == 0
    else:
        assert numbers(pictures(tmp_path / "clip.mp4")) == [2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
        assert size == (encoder.width + 1, encoder.height + encoder.height % 2)


def test_the_same_clip_is_the_same_bytes(recording: Recording, tmp_path: Path) -> None:
    ranges = [(1.3, 3.3), (6.1, 7.2)]
    first, second = (clip(recording, ranges, tmp_path / name) for name in ("first.mp4", "second.mp4"))
    assert first == second


def test_what_cannot_be_cut(recording: Recording, tmp_path: Path) -> None:
    recorded_s = recording.timeline.samples / 48_000
    with pytest.raises(RangeBeyondEnd, match=rf"^Ranges\[1\]\.End is {recorded_s + 0.1}, and only "):
        clip(recording, [(0, recorded_s), (1, recorded_s + 0.1)], tmp_path / "clip.mp4")
    other = recording.encoder.model_copy(update={"reference_frames": 2})
    with pytest.raises(ParameterSetsDiffer):
        clip(replace(recording, encoder=other), [(1.3, 1.5)], tmp_path / "clip.mp4")
    damaged = recording.segments[1].model_copy(update={"blob_key": recording.segments[0].blob_key})
    segments = [recording.segments[0], damaged, *recording.segments[2:]]
    with pytest.raises(SegmentDamaged, match="segment 1 of epoch 1"):
        clip(replace(recording, segments=segments), [(0.5, recorded_s)], tmp_path / "clip.mp4")


@pytest.mark.soak
def test_three_ranges_are_cut_twenty_times_as_fast_as_they_play(encode: Encode, tmp_path: Path) -> None:
    """None begins at a keyframe."""
    segments = encode(1, [3_000] * 1_800, parameters={"width": 1280, "height": 720})
    recording = Recording(segments, [], EncoderParameters(width=1280, height=720))
    ranges = [(2.3, 21.7), (40.5, 59.1), (25.1, 44.4)]
    began = time.monotonic()
    spliced = clip(recording, ranges, tmp_path / "clip.mp4")
    took_s = time.monotonic() - began
    print(f"{spliced.duration_s:.1f} s were cut in {took_s:.2f} s")
    assert spliced.duration_s > 20 * took_s
    check_file(tmp_path / "clip.mp4", spliced, ranges)
