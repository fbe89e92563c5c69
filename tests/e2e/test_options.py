"""`Output.Video` from the API to the file. The recordings of the first tests are made at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from tests.e2e import media
from tests.e2e.panoreel import Panoreel

TOGETHER: dict[str, tuple[int, dict[str, Any]]] = {
    "sound": (4, {"AudioOnly": True, "AudioBitrate": 64_000}),
    "pictures": (4, {"VideoOnly": True}),
    "coarse": (9, {"Fps": 10, "Crf": 30, "KeyframeInterval": 4}),
}
"""Seconds of the busy page, and `Output.Video`."""

Files = dict[str, Path]


def recorded(panoreel: Panoreel, url: str, seconds: int, out: Path, **start: Any) -> Path:
    """The file of a recording that was made with these parameters."""
    task_id = panoreel.act("Start", RecordURL=url, MaxDurationLimit=seconds, **start)["TaskID"]
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished", 90)
    [video] = task["Result"]["Videos"]
    out.write_bytes(httpx.get(video["FileURL"]).content)
    return out


@pytest.fixture(scope="module")
def files(panoreel: Panoreel, site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    """What was recorded of the busy page with each of the options."""
    directory = tmp_path_factory.mktemp("options")

    def record(name: str) -> Path:
        seconds, video = TOGETHER[name]
        start = {"Width": 640, "Height": 360, "Output": {"Video": video}}
        return recorded(panoreel, f"{site}/busy.html", seconds, directory / name, **start)

    with ThreadPoolExecutor() as threads:
        yield dict(zip(TOGETHER, threads.map(record, TOGETHER), strict=True))


@pytest.mark.parametrize(("name", "kinds"), [("sound", ["audio"]), ("pictures", ["video"])])
def test_one_track(files: Files, name: str, kinds: list[str], slack: float) -> None:
    with av.open(str(files[name])) as container:
        assert [stream.type for stream in container.streams] == kinds
        [stream] = container.streams
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(TOGETHER[name][0], abs=0.05)
    if name == "sound":
        sound = media.sound(files[name])
        assert media.tone_level(sound[len(sound) // 2 :], 1000) > 0.2, "a loaded machine plays late"
        assert len(media.onsets(sound)) <= 2 * slack, (
            "from the video's beginning on, and its end may be heard"
        )
    else:
        numbers = [media.number(frame.picture) for frame in media.frames(files[name])]
        assert len(set(numbers)) > 60 / slack


def test_rate_quality_and_keyframes(files: Files, slack: float) -> None:
    with av.open(str(files["coarse"])) as container:
        [video] = container.streams.video
        keyframes = [packet.pts for packet in container.demux(video) if packet.is_keyframe and packet.size]
        assert video.time_base is not None
        seconds = [float(pts * video.time_base) for pts in keyframes if pts is not None]
    assert seconds == pytest.approx([0, 4, 8], abs=0.3 * slack)
    times = [frame.time_s for frame in media.frames(files["coarse"])]
    assert 70 / slack < len(times) <= 91
    assert np.median(np.diff(times)) == pytest.approx(0.1, abs=0.02 * slack)
    coarse, fine = (files[name].stat().st_size / TOGETHER[name][0] for name in ("coarse", "pictures"))
    assert coarse < fine


def test_the_options_are_shown(panoreel: Panoreel, files: Files) -> None:
    tasks = panoreel.act("List", Status="finished")["Tasks"]
    shown = [task["Param"]["Output"]["Video"] for task in tasks]
    assert all(any(options.items() <= video.items() for video in shown) for _, options in TOGETHER.values())


def test_a_bit_rate(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    """Of a page that needs more than that at the usual quality."""
    output = {"Video": {"Bitrate": 400_000, "VideoOnly": True}}
    size = {"Width": 640, "Height": 360}
    file = recorded(panoreel, f"{site}/noise.html", 10, tmp_path / "out.mp4", Output=output, **size)
    assert file.stat().st_size * 8 / 10 == pytest.approx(400_000, rel=0.3)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("width", "height", "fps", "fewest"), [(1280, 720, 60, 50), (2560, 2560, 60, 1), (2560, 2560, 30, 1)]
)
def test_the_largest(
    panoreel: Panoreel, site: str, tmp_path: Path, width: int, height: int, fps: int, fewest: int
) -> None:
    """Whatever the machine cannot keep up with is left out, and the length is right."""
    file = recorded(
        panoreel,
        f"{site}/busy.html",
        10,
        tmp_path / "out.mp4",
        Width=width,
        Height=height,
        Output={"Video": {"Fps": fps}},
    )
    frames = list(media.frames(file))
    print(f"{width} by {height} at {fps}: {len(frames) / 10:.1f} frames/s")
    assert len(frames) >= fewest * 10
    assert frames[0].picture.shape == (height, width, 3)
    assert frames[-1].picture[-media.CELL // 2, : media.CELL * media.BITS].max() > 200, (
        "the page's lower edge"
    )
    assert media.decode_errors(file) == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1281, 721)])
def test_odd_sizes(panoreel: Panoreel, site: str, tmp_path: Path, width: int, height: int) -> None:
    """The page's red corners are the picture's, the edge that was added among them."""
    file = recorded(panoreel, f"{site}/still.html", 3, tmp_path / "out.mp4", Width=width, Height=height)
    for frame in media.frames(file):
        assert frame.picture.shape == (height + 1, width + 1, 3)
        for corner in (frame.picture[y, x] for y in (0, -1) for x in (0, -1)):
            assert np.abs(corner.astype(int) - (0xCC, 0, 0)).max() <= 4
