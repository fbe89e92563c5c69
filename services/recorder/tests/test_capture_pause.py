"""What a capture leaves out, and how its two sides meet: a real display and sound server, no browser."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import Any

import av
import numpy as np
import psutil
import pytest
import xcffib.xproto
from numpy.typing import NDArray
from pasimple import PA_SAMPLE_S16LE, PA_STREAM_PLAYBACK, PaSimple
from xcffib.xproto import GC, FillStyle, ImageFormat

from panoreel.contracts.media import AUDIO_FRAME_SAMPLES, EncoderParameters, SegmentMedia
from panoreel.recorder import grabber as grabbing
from panoreel.recorder.capture import Capture
from panoreel.recorder.display import Display, Geometry
from panoreel.recorder.errors import Accident
from panoreel.recorder.grabber import Grabber
from panoreel.recorder.privileges import ProgramUser
from panoreel.recorder.protocol import RecordingOrder
from panoreel.recorder.sound import SoundServer
from panoreel.recorder.x11 import connect

Rectangle: Any = xcffib.xproto.RECTANGLE
SIZE, FPS = 64, 30
LARGE, TILE = 2560, 512
AMPLITUDE, FREQUENCY = 12_000, 440
LEVELS = 219
"""From black to white in limited range: ITU-R BT.709, 4.6."""

AUDIO_FRAME_S = AUDIO_FRAME_SAMPLES / 48_000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections name display and sound server in our environment: put it back afterwards."""
    for name in ("DISPLAY", "XAUTHORITY", "PULSE_SERVER", "PULSE_COOKIE"):
        monkeypatch.setenv(name, "")


@dataclass
class Stage:
    """A capture, and what is shown and played to it."""

    capture: Capture
    display: Display
    sound: SoundServer
    grabber: Grabber
    sealed: list[tuple[Path, SegmentMedia]] = field(default_factory=list)
    told: list[Accident] = field(default_factory=list)

    async def start(self) -> None:
        await asyncio.sleep(0.3)  # as a page takes its time to load
        self.capture.start()
        await self.capture.started

    async def pause(self, seconds: float) -> float:
        """Pause for about so many seconds, and return for how many it was."""
        self.capture.pause(paused := time.monotonic())
        await asyncio.sleep(seconds)
        self.capture.resume(resumed := time.monotonic())
        return resumed - paused

    def pictures(self) -> list[tuple[float, int]]:
        """The time and the grey level of each recorded picture."""
        return [(frame.time or 0.0, int(frame.to_ndarray()[20, 20])) for frame in self._decode("video")]

    def samples(self) -> NDArray[np.float32]:
        """The left channel."""
        return np.concatenate([frame.to_ndarray()[0] for frame in self._decode("audio")])

    def _decode(self, kind: str) -> Iterator[Any]:
        """From one decoder, as if the segments were one file."""
        packets = []
        for path, _ in self.sealed:
            with av.open(str(path)) as container:
                stream = next(stream for stream in container.streams if stream.type == kind)
                packets += [packet for packet in container.demux(stream) if packet.pts is not None]
        decoder: Any = packets[0].stream.codec_context
        for packet in (*packets, None):
            yield from decoder.decode(packet)

    def check(self, length_s: float) -> None:
        """What holds for all recordings: no hole, no overlap, both tracks of the same length."""
        media = [media for _, media in self.sealed]
        assert [one.index for one in media] == list(range(len(media)))
        assert (media[0].first_pts, media[0].first_sample) == (0, 0)
        for before, after in pairwise(media):
            assert (after.first_pts, after.first_sample) == (before.end_pts, before.end_sample)
        assert media[-1].end_pts == pytest.approx(length_s * 90_000, abs=1)
        assert 0 <= media[-1].end_sample / 48_000 - length_s < AUDIO_FRAME_S
        times = [shown for shown, _ in self.pictures()]
        assert all(after > before for before, after in pairwise([*times, length_s]))
        assert len(times) == self.capture.frames


@asynccontextmanager
async def staged(seconds: float = 60, size: int = SIZE) -> AsyncIterator[Stage]:
    user = ProgramUser.choose("panoreel" if os.geteuid() == 0 else None)
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        base.chmod(0o711)
        home, spool = user.make_directory(base / "home"), base / "spool"
        spool.mkdir()
        display, sound = Display(Geometry.holding(size, size, FPS), user, home), SoundServer(user, home)
        order = RecordingOrder(
            task_id="task",
            epoch=1,
            record_url="http://127.0.0.1/",
            encoder=EncoderParameters(width=size, height=size, fps=FPS),
            remaining_s=seconds,
            spool=spool,
        )
        try:
            await asyncio.gather(display.start(), sound.start())
            with Grabber(display.env, size, size, FPS, user.uid) as grabber:
                sealed: list[tuple[Path, SegmentMedia]] = []
                told: list[Accident] = []
                capture = Capture(
                    order, grabber, sound, lambda path, media: sealed.append((path, media)), told.append
                )
                yield Stage(capture, display, sound, grabber, sealed, told)
        finally:
            await asyncio.gather(display.stop(), sound.stop())


def frames(connection: xcffib.Connection, going: Event) -> Iterator[None]:
    """Something is to be drawn, 30 times a second as an animated page does it; what was drawn is shown."""
    while going.is_set():
        yield
        connection.core.GetInputFocus().reply()
        time.sleep(1 / FPS)


def paint(display: Display, going: Event) -> None:
    """Let the screen grow lighter, from black to white in 12 s."""
    connection = connect(display.env)
    root, gc = connection.get_setup().roots[0].root, connection.generate_id()
    connection.core.CreateGC(gc, root, GC.Foreground, [0])
    everything = Rectangle.synthetic(0, 0, SIZE, SIZE)
    began = time.monotonic()
    for _ in frames(connection, going):
        level = min(255, int((time.monotonic() - began) / 12 * 255))
        connection.core.ChangeGC(gc, GC.Foreground, [level * 0x010101])
        connection.core.PolyFillRectangle(root, gc, 1, [everything])
    connection.disconnect()


def paint_noise(display: Display, going: Event, size: int) -> None:
    """Fill the screen with noise, another in each frame."""
    connection = connect(display.env)
    screen = connection.get_setup().roots[0]
    root, depth = screen.root, screen.root_depth
    tile, gc = connection.generate_id(), connection.generate_id()
    connection.core.CreatePixmap(depth, tile, root, TILE, TILE)
    connection.core.CreateGC(gc, root, GC.Tile | GC.FillStyle, [FillStyle.Tiled, tile])
    noise = np.random.default_rng(1)
    pixels = noise.integers(0, 256, TILE * TILE * 4, np.uint8).tobytes()
    connection.core.PutImage(ImageFormat.ZPixmap, tile, gc, TILE, TILE, 0, 0, 0, depth, len(pixels), pixels)
    everything = Rectangle.synthetic(0, 0, size, size)
    origin = GC.TileStippleOriginX | GC.TileStippleOriginY
    for _ in frames(connection, going):
        connection.core.ChangeGC(gc, origin, noise.integers(TILE, size=2).tolist())
        connection.core.PolyFillRectangle(root, gc, 1, [everything])
    connection.disconnect()


def play(sound: SoundServer, going: Event) -> None:
    os.environ.update(sound.env)
    turns = 2 * np.pi * FREQUENCY / 48_000 * np.arange(4_800)
    wave = np.repeat((AMPLITUDE * np.sin(turns)).astype(np.int16), 2).tobytes()
    with PaSimple(
        PA_STREAM_PLAYBACK, PA_SAMPLE_S16LE, 2, 48_000, server_name=sound.env["PULSE_SERVER"]
    ) as out:
        while going.is_set():
            out.write(wave)


@contextmanager
def lively(stage: Stage, noise: int = 0) -> Iterator[None]:
    """Something is shown and something is played; so many pixels each way of `noise`, if any."""
    going = Event()
    going.set()
    threads = [
        Thread(target=paint_noise, args=(stage.display, going, noise))
        if noise
        else Thread(target=paint, args=(stage.display, going)),
        Thread(target=play, args=(stage.sound, going)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        going.clear()
        for thread in threads:
            thread.join()


def capture_cpu_s() -> float:
    """What the capture's own threads have used so far."""
    ours = {thread.native_id for thread in enumerate_threads() if thread.name in ("pictures", "sound")}
    assert len(ours) == 2
    used = [thread for thread in psutil.Process().threads() if thread.id in ours]
    return sum(thread.user_time + thread.system_time for thread in used)


@pytest.mark.parametrize("pauses_s", [[3], [0.02, 0.3, 0, 1]], ids=["one", "several, short and none"])
async def test_both_sides_of_a_pause_meet(pauses_s: list[float], slack: float) -> None:
    async with staged() as stage:
        with lively(stage):
            await stage.start()
            began = time.monotonic()
            paused_s = []
            for pause_s in pauses_s:
                await asyncio.sleep(1)
                paused_s.append(await stage.pause(pause_s))
            await asyncio.sleep(1)
            ended = time.monotonic()
            length_s = await stage.capture.finish(ended)
        stage.check(length_s)
        assert length_s == pytest.approx(ended - began - sum(paused_s), abs=0.1 * slack)

        # The longest pause is the largest step of the rising level, and no longer in the recording.
        pictures = stage.pictures()
        steps = [after[1] - before[1] for before, after in pairwise(pictures)]
        assert max(steps) * 12 / LEVELS == pytest.approx(max(paused_s), abs=0.15 * slack)
        assert min(steps) >= -1
        gaps = [after[0] - before[0] for before, after in pairwise(pictures)]
        assert gaps[int(np.argmax(steps))] <= 2.5 * slack / FPS

        samples = stage.samples()[4_800:-AUDIO_FRAME_SAMPLES]
        own_step = 2 * AMPLITUDE / 32_768 * np.sin(np.pi * FREQUENCY / 48_000)
        assert np.abs(np.diff(samples)).max() < 1.5 * own_step
        levels = [np.abs(samples[at : at + 240]).max() for at in range(0, len(samples) - 240, 240)]
        quiet = [level < 0.5 * AMPLITUDE / 32_768 for level in levels]
        assert sum(quiet) * 240 < len(pauses_s) * 3 * AUDIO_FRAME_SAMPLES

        walls = [media.wall_time - timedelta(seconds=media.first_pts / 90_000) for _, media in stage.sealed]
        assert (walls[-1] - walls[0]).total_seconds() == pytest.approx(
            ended - began - length_s, abs=0.05 * slack
        )


async def test_a_pause_costs_nothing_and_loses_nothing(slack: float) -> None:
    """All that was captured is sealed at once; the end, whenever it comes, adds nothing."""
    async with staged() as stage:
        with lively(stage):
            await stage.start()
            began = time.monotonic()
            await asyncio.sleep(1)
            stage.capture.pause(paused := time.monotonic())
            stage.capture.pause(paused + 0.5)  # once is enough
            while not stage.sealed:
                assert time.monotonic() - paused < 30
                await asyncio.sleep(0.05)
            [(path, media)] = stage.sealed
            assert path.exists()
            assert media.end_pts == pytest.approx(90_000 * (paused - began), abs=4_500 * slack)
            frames, cpu_s = stage.capture.frames, capture_cpu_s()
            await asyncio.sleep(2)
            assert stage.capture.frames == frames
            assert capture_cpu_s() - cpu_s < 0.1 * slack
            length_s = await stage.capture.finish(time.monotonic())
        assert [one for _, one in stage.sealed] == [media]
        assert length_s * 48_000 == media.end_sample
        stage.check(length_s)


@pytest.mark.parametrize("paused", [False, True])
async def test_the_limit_counts_pauses_and_ends_them(paused: bool, slack: float) -> None:
    async with staged(seconds=2) as stage:
        await stage.start()
        began = time.monotonic()
        await asyncio.sleep(0.5)
        stage.capture.pause(since := time.monotonic())
        await asyncio.sleep(0.5)
        until = began + 2
        if not paused:
            stage.capture.resume(until := time.monotonic())
        await asyncio.wait_for(stage.capture.ended(), 30)
        assert time.monotonic() - began == pytest.approx(2, abs=0.2 * slack)
        length_s = await stage.capture.finish(time.monotonic())
        assert length_s == pytest.approx(2 - (until - since), abs=0.1 * slack)
        stage.check(length_s)


async def test_a_still_page_is_seen_at_once_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """And as soon as that, it may be paused or stopped again."""
    monkeypatch.setattr(grabbing, "LONGEST_STILL_S", 60.0)
    async with staged() as stage:
        await stage.start()
        await asyncio.sleep(0.3)
        for _ in range(3):
            await stage.pause(0.1)
            frames = stage.capture.frames
            async with asyncio.timeout(20):
                while stage.capture.frames == frames:
                    await asyncio.sleep(0.005)
        stage.capture.pause(at := time.monotonic())
        length_s = await stage.capture.finish(at)
        stage.check(length_s)
        assert stage.capture.frames == 4


async def test_an_interruption_takes_back_what_was_shown_before_it_was_noticed(slack: float) -> None:
    async with staged() as stage:
        with lively(stage):
            await stage.start()
            began, lost_s = time.monotonic(), []
            # Before a segment is full, and just after the next one has begun, which is taken back as a whole.
            for captured_s in (1.0, 2.1):
                await asyncio.sleep(captured_s)
                stage.capture.interrupt(since := time.monotonic() - 0.15)
                stage.capture.interrupt(since + 1)  # once is enough
                await asyncio.wait_for(stage.capture.let_go(), 20)
                await asyncio.sleep(2)
                stage.capture.go_on(stage.grabber, stage.sound)
                lost_s.append(time.monotonic() - since)
            await asyncio.sleep(0.5)
            length_s = await stage.capture.finish(ended := time.monotonic())
        stage.check(length_s)
        assert length_s == pytest.approx(ended - began - sum(lost_s), abs=0.2 * slack)
        pictures = stage.pictures()
        steps = [(after[1] - before[1]) * 12 / LEVELS for before, after in pairwise(pictures)]
        assert sorted(steps)[-2:] == pytest.approx(sorted(lost_s), abs=0.15 * slack)
        assert stage.told == []


async def test_what_breaks_is_told_and_held() -> None:
    async with staged() as stage:
        await stage.start()
        await asyncio.sleep(0.5)
        await stage.sound.stop()
        async with asyncio.timeout(20):
            while not stage.told:
                await asyncio.sleep(0.01)
        assert [accident.cause for accident in stage.told] == ["sound"]
        assert stage.capture.interrupted
        stage.check(await stage.capture.finish(time.monotonic()))


async def test_the_encoder_makes_less_effort_when_it_does_not_keep_up() -> None:
    async with staged(size=LARGE) as stage:
        with lively(stage, noise=LARGE):
            await stage.start()
            await asyncio.sleep(8)
        length_s = await stage.capture.finish(time.monotonic())
        assert stage.capture.gauge.quality().preset_steps >= 1
        stage.check(length_s)


async def test_hasty_callers(slack: float) -> None:
    """Whatever the order and haste, the recording is whole, and goes on after the last word."""
    async with staged() as stage:
        with lively(stage):
            await stage.start()
            rng = np.random.default_rng(3)
            for wait_s in rng.exponential(0.012, 150):
                ask = stage.capture.pause if rng.random() < 0.5 else stage.capture.resume
                ask(time.monotonic())
                await asyncio.sleep(wait_s)
            stage.capture.resume(time.monotonic())
            await asyncio.sleep(0.2)
            frames = stage.capture.frames
            await asyncio.sleep(0.5)
            assert stage.capture.frames > frames + 8 / slack
            length_s = await stage.capture.finish(time.monotonic())
        stage.check(length_s)
