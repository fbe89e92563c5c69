"""What comes out of the encoder, decoded."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from panoreel.contracts import x264
from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, EncoderParameters, SegmentMedia
from panoreel.recorder.segments import sealed
from tests.servers.epoch import BEGIN, SECOND, Epoch, decode, demux, number, numbered, sine

FADE_IN_SAMPLES = 2048


@pytest.fixture
def epoch(tmp_path: Path) -> Callable[..., Epoch]:
    def start(preset: str = "veryfast", **parameters: int) -> Epoch:
        return Epoch(tmp_path, EncoderParameters(**({"width": 320, "height": 180} | parameters)), preset)

    return start


def test_segments_follow_each_other_without_a_hole(epoch: Callable[..., Epoch]) -> None:
    """Irregular pictures and sound from two threads come out as they went in, cut in self-contained files."""
    run = epoch()
    steps = np.random.default_rng(7).integers(1_500, 9_000, size=150)
    pts = [0, *(int(at) for at in np.cumsum(steps))]
    end_pts = pts[-1] + 5_000
    wave = sine(end_pts * 48_000 // SECOND + 2_000)

    def speak() -> None:
        for first in range(0, len(wave), 700):
            run.encoder.audio(wave[first : first + 700], first)

    speaker = threading.Thread(target=speak)
    speaker.start()
    for index, at in enumerate(pts):
        run.encoder.video(numbered(index), at)
    speaker.join()
    run.encoder.close(end_pts)

    pictures = run.pictures()
    assert [number(frame) for frame in pictures] == list(range(len(pts)))
    assert [frame.pts for frame in pictures] == pts
    media = [media for _, media in sealed(run.spool)]
    assert sealed(run.spool) == run.reported
    assert len(media) >= 5
    assert [one.index for one in media] == list(range(len(media)))
    assert all(before.end_pts == after.first_pts for before, after in pairwise(media))
    assert all(2 * SECOND <= one.end_pts - one.first_pts <= 4 * SECOND for one in media[:-1])
    assert media[-1].end_pts == end_pts
    assert 0 <= media[-1].end_sample * 1.875 - end_pts < AUDIO_FRAME_SAMPLES * 1.875
    sounds = run.packets("audio")
    assert [packet.pts for packet in sounds] == list(range(0, media[-1].end_sample, AUDIO_FRAME_SAMPLES))
    assert list(run.partial.iterdir()) == []
    for path, one in run.reported:
        check_file(path, one)


def check_file(path: Path, media: SegmentMedia) -> None:
    """The file agrees with its description, and begins with an instantaneous decoder refresh."""
    content = path.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (media.bytes, media.sha256)
    assert media.wall_time == BEGIN + timedelta(seconds=media.first_pts / SECOND)
    video, audio = list(demux(path, "video")), list(demux(path, "audio"))
    assert [packet.time_base.denominator for packet in (video[0], audio[0])] == [90_000, 48_000]
    assert all(packet.pts == packet.dts for packet in video)
    assert (video[0].pts, video[-1].pts + video[-1].duration) == (media.first_pts, media.end_pts)
    assert (audio[0].pts, audio[-1].pts + audio[-1].duration) == (media.first_sample, media.end_sample)
    assert len(video) == len(list(decode(video))) == media.frames
    assert [packet.is_keyframe for packet in video] == [True] + [False] * (media.frames - 1)
    nal_units, types = bytes(video[0]), []
    while nal_units:
        length = int.from_bytes(nal_units[:4], "big")
        types.append(nal_units[4] & 31)
        nal_units = nal_units[4 + length :]
    assert types[-1] == 5  # IDR slice: ITU-T H.264, table 7-1
    assert media.first_sample * 1.875 >= media.first_pts > media.first_sample * 1.875 - 1_920


def test_sound_is_continuous_across_segments(epoch: Callable[..., Epoch]) -> None:
    """No sample is lost, moved or added: the decoded sine never leaves its phase."""
    run = epoch()
    wave = sine(7 * 48_000)
    for second in range(7):
        run.encoder.video(numbered(second), second * SECOND)
        for first in range(second * 48_000, (second + 1) * 48_000, 480):
            run.encoder.audio(wave[first : first + 480], first)
    run.encoder.close(7 * SECOND)
    assert len(run.reported) == 4

    sound = run.sound()[: 7 * 48_000]
    steady = slice(FADE_IN_SAMPLES, 7 * 48_000 - 2 * AUDIO_FRAME_SAMPLES)
    turn = np.exp(-2j * np.pi * 440 / 48_000 * np.arange(len(sound)))
    windows = (sound * turn)[steady][: 6 * 48_000].reshape(-1, 1_200)  # 11 periods each
    phases = np.angle(windows.mean(axis=1) * 2j)
    assert np.abs(phases).max() < 0.03  # a sample is 0.058
    error = sound[steady] - wave[steady, 0] / 32_768
    assert np.abs(error).max() < 0.025


def test_colours_survive(epoch: Callable[..., Epoch]) -> None:
    """Red, green, blue, grey and mixed fields come back within 2 of 255 levels by BT.709's equations."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)]
    colours += [(200, 100, 50), (12, 34, 56), (66, 133, 244), (251, 188, 5)]
    picture = np.zeros((64, 64 * len(colours), 4), np.uint8)
    for column, colour in enumerate(colours):
        picture[:, 64 * column : 64 * column + 64, :3] = colour[::-1]
    run = epoch(width=picture.shape[1], height=64, crf=10)
    run.encoder.video(picture, 0)
    run.encoder.close(SECOND)

    (frame,) = run.pictures()
    assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (1, 1, 1, 1)
    assert b"colrnclx\x00\x01\x00\x01\x00\x01\x00" in run.reported[0][0].read_bytes()
    luma, width = frame.to_ndarray(), picture.shape[1]
    chroma = luma[64:].reshape(2, 32, width // 2)
    for column, colour in enumerate(colours):
        y = (float(luma[32, 64 * column + 32]) - 16) / 219
        blue, red = ((float(plane[16, 32 * column + 16]) - 128) / 224 for plane in chroma)
        r, b = y + 1.5748 * red, y + 1.8556 * blue
        decoded = 255 * np.array([r, (y - 0.2126 * r - 0.0722 * b) / 0.7152, b])
        assert np.abs(decoded - colour).max() <= 2, colour


def test_an_odd_edge_is_repeated(epoch: Callable[..., Epoch]) -> None:
    run = epoch(width=321, height=179, crf=1)
    picture = np.full((179, 321, 4), 60, np.uint8)
    picture[:, -1] = picture[-1] = 200
    run.encoder.video(picture, 0)
    run.encoder.close(SECOND)
    (frame,) = run.pictures()
    assert (frame.width, frame.height) == (322, 180)
    luma = frame.to_ndarray()[:180, :322].astype(int)
    assert np.abs(luma[:178, 320] - luma[:178, 321]).max() <= 3
    assert np.abs(luma[178, :] - luma[179, :]).max() <= 3
    assert luma[90, 100] < 80 < 170 < luma[90, 321]


def test_large_pictures_at_a_high_rate(epoch: Callable[..., Epoch]) -> None:
    """Two threads share each picture, none of which is held back for longer because of that."""
    run = epoch(width=1920, height=1080, fps=60)
    for index in range(5):
        run.encoder.video(numbered(index, 1920, 1080), index * SECOND)
    run.await_reports(1)
    run.encoder.close(5 * SECOND)
    assert [number(frame) for frame in run.pictures()] == [0, 1, 2, 3, 4]


def test_a_still_page_is_sealed_at_once(epoch: Callable[..., Epoch], slack: float) -> None:
    """A segment is there 0.1 s after the picture that opens the next one, and costs next to nothing."""
    run = epoch(width=1280, height=720)
    silence = np.zeros((48_000, 2), np.int16)
    picture = numbered(1, 1280, 720)
    opened: list[float] = []
    cpu_s = time.process_time()
    for second in range(9):
        if second and second % 2 == 0:
            opened.append(time.monotonic())
        run.encoder.video(picture, second * SECOND)
        run.encoder.audio(silence, second * 48_000)
        run.await_reports(second // 2)
    cpu_s = time.process_time() - cpu_s
    run.encoder.close(9 * SECOND)
    assert len(run.reported) == 5
    delays_s = [sealed_at - at for sealed_at, at in zip(run.reported_at, opened, strict=False)]
    assert np.median(delays_s) < 0.1 * slack  # a busy machine may take longer once
    assert cpu_s / 9 < 0.05 * slack


@pytest.mark.parametrize(("pictures", "end_pts"), [(1, 4 * SECOND), (1, 1), (4, 110_000), (75, 5 * SECOND)])
def test_without_sound_there_is_silence(epoch: Callable[..., Epoch], pictures: int, end_pts: int) -> None:
    run = epoch()
    for index in range(pictures):
        run.encoder.video(numbered(index), index * 6_000)
    run.encoder.close(end_pts)
    assert [number(frame) for frame in run.pictures()] == list(range(pictures))
    sound = run.sound()
    assert not sound.any()
    assert 0 <= len(sound) * 1.875 - end_pts < 1_920
    video = run.packets("video")
    assert video[-1].pts + video[-1].duration == end_pts


def test_missing_sound_delays_no_segment(epoch: Callable[..., Epoch]) -> None:
    """Sound that stops and comes again later leaves silence behind, without a step, and lies in its place."""
    run = epoch()
    wave = sine(8 * 48_000)
    for second in range(8):
        run.encoder.video(numbered(second), second * SECOND)
        if second == 6:
            run.await_reports(2)
        if not 2 <= second < 6:
            first = second * 48_000
            run.encoder.audio(wave[first : first + 48_000], first)
    run.encoder.close(8 * SECOND)
    sound = run.sound()
    assert np.abs(sound[2 * 48_000 + 1_500 : 6 * 48_000 - 2_048]).max() < 1e-3
    last = slice(6 * 48_000 + 4_800, 8 * 48_000 - 2_048)
    assert np.abs(sound[last] - wave[last, 0] / 32_768).max() < 0.025
    step = np.abs(np.diff(sound[: 3 * 48_000])).max()
    assert step < 1.5 * 16_000 / 32_768 * 2 * np.pi * 440 / 48_000


def test_sound_from_before_the_first_picture_and_repeated_sound_is_dropped(
    epoch: Callable[..., Epoch],
) -> None:
    run = epoch()
    wave = sine(48_000 + 1_000)
    run.encoder.video(numbered(0), 0)
    run.encoder.audio(np.concatenate((np.full((1_000, 2), 9_000, np.int16), wave[:30_000])), -1_000)
    run.encoder.audio(wave[20_000:], 20_000)
    run.encoder.close(SECOND)
    sound = run.sound()
    steady = slice(FADE_IN_SAMPLES, len(sound) - AUDIO_FRAME_SAMPLES)
    assert np.abs(sound[steady] - wave[: len(sound), 0][steady] / 32_768).max() < 0.025


@pytest.mark.parametrize(("frequency", "phase"), [(100, 2.9), (440, 3.2), (3_000, 2)])
def test_a_cut_is_sealed_at_once_and_followed_without_a_gap_or_click(
    epoch: Callable[..., Epoch], frequency: float, phase: float
) -> None:
    """As many frames as there were before, and not one sample more, even where a tone meets itself out of
    phase: no step is larger than one and a half of its own."""
    run = epoch()
    meeting = 100 * AUDIO_FRAME_SAMPLES
    for index in range(64):
        run.encoder.video(numbered(index), 3_000 * index)
    run.encoder.audio(sine(meeting, frequency), 0)
    run.encoder.cut(meeting * 15 // 8)
    run.await_reports(2)
    run.encoder.audio(sine(meeting, frequency, phase), meeting)
    for index in range(64):
        run.encoder.video(numbered(64 + index), meeting * 15 // 8 + 3_000 * index)
    run.encoder.close(2 * meeting * 15 // 8)

    media = [media for _, media in run.reported]
    assert [one.frames for one in media] == [60, 4, 60, 4]
    assert [one.end_pts for one in media[1::2]] == [meeting * 15 // 8, 2 * meeting * 15 // 8]
    for path, one in run.reported:
        check_file(path, one)
    contents = [path.read_bytes() for path, _ in run.reported]
    assert len({content[: content.index(b"moof") - 4] for content in contents}) == 1, "one header for all"
    pictures = run.pictures()
    assert [number(frame) for frame in pictures] == list(range(128))
    assert [frame.pts for frame in pictures[63:65]] == [63 * 3_000, meeting * 15 // 8]
    sound, amplitude = run.sound(), 16_000 / 32_768
    assert len(sound) == 2 * meeting
    around = sound[meeting - 4_096 : meeting + 4_096]
    assert np.abs(np.diff(around)).max() < 1.5 * 2 * amplitude * np.sin(np.pi * frequency / 48_000)
    assert np.abs(around).max() < 1.5 * amplitude
    assert np.abs(around[:2_048]).max() > 0.9 * amplitude
    assert np.abs(around[-1_024:]).max() > 0.9 * amplitude


@pytest.mark.parametrize("early", [False, True], ids=["sound comes late", "sound comes first"])
@pytest.mark.parametrize("heard", [0, 1, 2, 3], ids="heard in {} runs".format)
def test_runs_of_a_single_audio_frame(epoch: Callable[..., Epoch], heard: int, early: bool) -> None:
    """Every run has its segment, in whatever order pictures, cuts and sound come, and if none comes."""
    run = epoch()
    speak: list[Callable[[], None]] = []
    for index in range(4):
        first = index * AUDIO_FRAME_SAMPLES
        wave = sine(AUDIO_FRAME_SAMPLES)
        run.encoder.video(numbered(index), first * 15 // 8)
        if index < heard and early:
            run.encoder.audio(wave, first)
        run.encoder.cut((index + 1) * 1_920)
        if index < heard and not early:
            speak.append(partial(run.encoder.audio, wave, first))
    for say in speak:
        say()
    run.encoder.close(4 * 1_920)
    assert [(media.index, media.frames) for _, media in run.reported] == [(index, 1) for index in range(4)]
    for path, media in run.reported:
        check_file(path, media)
    assert [number(frame) for frame in run.pictures()] == [0, 1, 2, 3]
    assert len(run.sound()) == 4 * AUDIO_FRAME_SAMPLES


def test_what_is_not_allowed_is_refused(epoch: Callable[..., Epoch]) -> None:
    run = epoch()
    with pytest.raises(ValueError, match="timestamp"):
        run.encoder.video(numbered(0), 3_000)
    with pytest.raises(ValueError, match="shape"):
        run.encoder.video(numbered(0, width=322), 0)
    run.encoder.video(numbered(0), 0)
    with pytest.raises(ValueError, match="timestamp"):
        run.encoder.video(numbered(1), 0)
    run.encoder.cut(1_920)
    with pytest.raises(ValueError, match="timestamp"):
        run.encoder.video(numbered(1), 3_000)
    run.encoder.close(SECOND)
    assert [media.frames for _, media in run.reported] == [1]


def test_no_picture_no_segment(epoch: Callable[..., Epoch]) -> None:
    run = epoch()
    run.encoder.audio(sine(48_000), 0)
    run.encoder.close(0)
    assert list(run.spool.iterdir()) == []


def test_a_failing_disk_is_reported(epoch: Callable[..., Epoch]) -> None:
    run = epoch()
    run.partial.rmdir()
    run.encoder.video(numbered(0), 0)
    with pytest.raises(FileNotFoundError):
        deque(run.encoder.video(numbered(second), second * SECOND) for second in range(1, 20))
    with pytest.raises(FileNotFoundError):
        run.encoder.close(20 * SECOND)


def test_the_parameter_sets_depend_on_nothing_but_the_parameters(tmp_path: Path) -> None:
    """Every preset and every quality writes the same `avcC`, and another size another one."""
    found: dict[bytes, list[tuple[object, ...]]] = {}
    presets = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")
    variants = [(preset, 23, 320) for preset in presets]
    variants += [("veryfast", crf, 320) for crf in (1, 28, 51)] + [("veryfast", 23, 336)]
    for preset, crf, width in variants:
        run = Epoch(
            tmp_path / f"{preset}-{crf}-{width}", EncoderParameters(width=width, height=180, crf=crf), preset
        )
        run.encoder.video(numbered(5, width=width), 0)
        run.encoder.close(SECOND)
        (packet,) = run.packets("video")
        found.setdefault(packet.stream.codec_context.extradata, []).append((preset, crf, width))
    assert sorted(found.values(), key=len) == [variants[-1:], variants[:-1]]


@pytest.mark.parametrize(
    ("width", "height", "fps", "reference_frames", "level"),
    [
        (64, 64, 1, 1, "3.1"),
        (1280, 720, 30, 1, "3.1"),
        (1280, 720, 60, 1, "3.2"),
        (1920, 1080, 30, 1, "4.0"),
        (1920, 1080, 30, 5, "5.0"),
        (1920, 1080, 60, 1, "4.2"),
        (2560, 2560, 60, 1, "5.2"),
    ],
)
def test_level(width: int, height: int, fps: int, reference_frames: int, level: str) -> None:
    """ITU-T H.264, table A-1."""
    parameters = EncoderParameters(width=width, height=height, fps=fps, reference_frames=reference_frames)
    assert x264.level(parameters) == level


def test_without_sound_too_a_cut_takes_back_the_last_moments(tmp_path: Path) -> None:
    """An interruption that is noticed just after a segment has begun ends the one before."""
    run = Epoch(tmp_path, EncoderParameters(width=320, height=180, tracks="video"))
    for index in range(32):
        run.encoder.video(numbered(index), index * 6_000)
    end_pts = 92 * 1_920  # the second segment begins at 180000
    assert run.encoder.cut(end_pts, last_pts=170_000) == 3
    for index in (40, 41):
        run.encoder.video(numbered(index), end_pts + (index - 40) * 6_000)
    run.encoder.close(end_pts + 12_000)
    media = [media for _, media in run.reported]
    assert [(one.index, one.first_pts, one.end_pts) for one in media] == [
        (0, 0, end_pts),
        (1, end_pts, end_pts + 12_000),
    ]
    assert [number(frame) for frame in run.pictures()] == [*range(29), 40, 41]


def test_media_ends_after_its_beginning(epoch: Callable[..., Epoch]) -> None:
    run = epoch()
    run.encoder.video(numbered(0), 0)
    run.encoder.close(SECOND)
    [(_, media)] = run.reported
    for backward in ({"first_pts": media.end_pts}, {"first_sample": media.end_sample + 1}):
        with pytest.raises(ValueError, match="first_"):
            SegmentMedia.model_validate(media.model_dump() | backward)
