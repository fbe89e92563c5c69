"""How others record a page, on a display and a sound server of their own, in their usual set-up.

Sources of the set-ups: github.com/livekit/egress (GStreamer), github.com/jitsi/jibri (ffmpeg), and a browser
that records its own tab, as extensions by `tabCapture` do.
"""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from panoreel.bench.errors import ProgramMissing, RecordingFailed
from panoreel.bench.recorder import SERVICE_USER
from panoreel.bench.site import Site
from panoreel.recorder.privileges import ProgramUser, end, log_tail, spawn

WIDTH, HEIGHT, FPS = 1280, 720, 30
KEYFRAME_FRAMES: Final = 2 * FPS
CHROMIUM: Final = "/usr/lib/chromium/chromium"
PATIENCE_S: Final = 20.0
NOTICE_HEIGHT: Final = 56
"""Pixels that Chromium's notice takes away from a tab that is shared by `getDisplayMedia`."""

BROWSER_OPTIONS: Final = (
    *("--kiosk", "--window-position=0,0", f"--window-size={WIDTH},{HEIGHT}", "--hide-scrollbars"),
    *("--no-first-run", "--test-type", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--password-store=basic"),
    "--autoplay-policy=no-user-gesture-required",
)

HEADLESS: Final = ("--headless=new", f"--screen-info={{{WIDTH}x{HEIGHT}}}")
"""Without a display; a screen of this size is made up."""

DESK: Final = ("Xvfb", "pulseaudio", "chromium")
PROGRAMS: Final = {
    "gstreamer": ("gst-launch-1.0", *DESK),
    "ffmpeg": ("ffmpeg", *DESK),
    "mediarecorder": DESK,
    "headless": ("chromium",),
}
"""What each way beside our own needs."""

PACKAGES: Final = {
    "gst-launch-1.0": "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-pulseaudio",
    "Xvfb": "xvfb",
}
"""The Debian packages that bring a program, where they are not called like it."""


@dataclass
class Desk:
    """Programs that belong together, with one home, all run by an ordinary user."""

    user: ProgramUser
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    running: list[Process] = field(default_factory=list)

    @property
    def roots(self) -> list[int]:
        """The programs that were started here."""
        return [process.pid for process in self.running]

    async def start(self, *argv: str, pass_fds: Sequence[int] = ()) -> Process:
        """Start a program that finds `env`, and is ended with the desk."""
        variables = [f"{name}={value}" for name, value in self.env.items()]
        command = self.user.command(["/usr/bin/env", *variables, *argv])
        log = self.log(argv[0])
        process = await spawn(command, home=self.home, log=log, pass_fds=pass_fds)
        self.running.append(process)
        return process

    def log(self, program: str) -> Path:
        """Where a program's output goes."""
        return self.home / f"{Path(program).name}.log"

    async def show(self, *options: str) -> None:
        """Start Chromium with these options and an address."""
        await self.start(CHROMIUM, *BROWSER_OPTIONS, f"--user-data-dir={self.home / 'profile'}", *options)

    async def until(self, ready: Callable[[], bool], what: str, program: str) -> None:
        """Wait for something to be there; raises `RecordingFailed`."""
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > deadline:
                raise RecordingFailed(f"{what} in vain: {log_tail(self.log(program))}")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A desk without anything on it."""
    user = ProgramUser.choose(SERVICE_USER)
    with tempfile.TemporaryDirectory(prefix="panoreel-bench-", ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        base.chmod(0o711)
        made = Desk(user, user.make_directory(base / "home"))
        try:
            yield made
        finally:
            for process in reversed(made.running):
                await end(process)


@asynccontextmanager
async def screen(height: int = HEIGHT) -> AsyncIterator[Desk]:
    """A desk with an Xvfb of 24 bits, and PulseAudio with a null sink called `page`."""
    async with desk() as made:
        ready, displayfd = os.pipe()
        try:
            size = f"{WIDTH + 2}x{height + 2}x24"  # Chromium stays that far away from the edges
            await made.start(
                *("/usr/bin/Xvfb", "-displayfd", str(displayfd), "-screen", "0", size),
                *("-ac", "-nolisten", "tcp", "-noreset"),
                pass_fds=[displayfd],
            )
        finally:
            os.close(displayfd)
        with os.fdopen(ready) as answer:
            number = ""
            with suppress(TimeoutError):
                number = await asyncio.wait_for(asyncio.to_thread(answer.readline), PATIENCE_S)
        if not number:
            raise RecordingFailed(f"Xvfb did not start: {log_tail(made.log('Xvfb'))}")
        socket = made.home / "pulse.socket"
        made.env = {"DISPLAY": f":{number.strip()}", "PULSE_SERVER": f"unix:{socket}"}
        await made.start(
            *("/usr/bin/pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *("-L", "module-null-sink sink_name=page"),
            *("-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1"),
        )
        await made.until(socket.exists, "waited for PulseAudio", "pulseaudio")
        yield made


@dataclass
class Recording:
    """What is recorded at a desk: processes to be measured, and how to end it; `finish` gives the files."""

    at: Desk
    encoder: Process | None = None
    files: list[Path] = field(default_factory=list)

    @property
    def roots(self) -> list[int]:
        """The programs whose trees are all of the recording."""
        return self.at.roots

    async def finish(self) -> list[Path]:
        """End the encoder in good order; raises `RecordingFailed`."""
        if self.encoder:
            with suppress(ProcessLookupError):
                self.encoder.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self.encoder.wait(), PATIENCE_S)
            except TimeoutError:
                raise RecordingFailed("the encoder did not end") from None
        return self.files


def _gstreamer(display: str, file: Path) -> list[str]:
    """LiveKit's way: pictures on a timer, x264 veryfast at 3000 kbit/s."""
    area = f"startx=0 starty=0 endx={WIDTH - 1} endy={HEIGHT - 1}"
    waiting = "queue max-size-time=5000000000 max-size-bytes=0 max-size-buffers=0"
    return (
        f"/usr/bin/gst-launch-1.0 -e ximagesrc display-name={display} use-damage=0 show-pointer=false {area}"
        f" ! video/x-raw,framerate={FPS}/1 ! {waiting} ! videoconvert ! video/x-raw,format=I420"
        f" ! x264enc speed-preset=veryfast bitrate=3000 key-int-max={KEYFRAME_FRAMES}"
        f" ! video/x-h264,profile=main ! {waiting} ! mux. pulsesrc device=page.monitor"
        f" ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! audioresample ! avenc_aac bitrate=128000"
        f" ! {waiting} ! mux. mp4mux name=mux ! filesink location={file}"
    ).split()


def _ffmpeg(display: str, file: Path) -> list[str]:
    """Jibri's way: pictures on a timer, x264 veryfast at CRF 25."""
    return (
        f"/usr/bin/ffmpeg -y -nostdin -v error -thread_queue_size 4096 -f x11grab -draw_mouse 0"
        f" -framerate {FPS} -video_size {WIDTH}x{HEIGHT} -i {display}"
        f" -thread_queue_size 4096 -f pulse -i page.monitor"
        f" -c:v libx264 -preset veryfast -crf 25 -g {KEYFRAME_FRAMES} -pix_fmt yuv420p"
        f" -c:a aac -b:a 128k -af aresample=async=1 {file}"
    ).split()


@asynccontextmanager
async def _by_grabbing(
    command: Callable[[str, Path], list[str]], site: Site, page: str
) -> AsyncIterator[Recording]:
    async with screen() as at:
        await at.show(site.url(page))
        await asyncio.sleep(2)  # the window
        file = at.home / "recording.mp4"
        argv = command(at.env["DISPLAY"], file)
        encoder = await at.start(*argv)
        await at.until(lambda: file.exists() or encoder.returncode is not None, "waited for a file", argv[0])
        if encoder.returncode is not None:
            raise RecordingFailed(f"{Path(argv[0]).name} ended: {log_tail(at.log(argv[0]))}")
        yield Recording(at, encoder, [file])


@asynccontextmanager
async def gstreamer(site: Site, page: str) -> AsyncIterator[Recording]:
    """By GStreamer, as LiveKit does it."""
    async with _by_grabbing(_gstreamer, site, page) as recording:
        yield recording


@asynccontextmanager
async def ffmpeg(site: Site, page: str) -> AsyncIterator[Recording]:
    """By ffmpeg, as Jibri does it."""
    async with _by_grabbing(_ffmpeg, site, page) as recording:
        yield recording


@asynccontextmanager
async def mediarecorder(site: Site, page: str) -> AsyncIterator[Recording]:
    """By the tab itself: MediaRecorder, VP8 and Opus, sent in slices of a second; the page is in a frame."""
    site.forget()
    async with screen(HEIGHT + NOTICE_HEIGHT) as at:
        await at.show(
            *("--auto-accept-this-tab-capture", "--disable-features=GetDisplayMediaRequiresUserActivation"),
            *(f"--window-size={WIDTH},{HEIGHT + NOTICE_HEIGHT}", site.tab(page)),
        )
        await at.until(lambda: bool(site.slices or site.failed), "waited for MediaRecorder", "chromium")
        if site.failed:
            raise RecordingFailed(f"MediaRecorder: {site.failed}")
        file = at.home / "recording.webm"
        yield Recording(at, files=[file])


@asynccontextmanager
async def headless(site: Site, page: str) -> AsyncIterator[Recording]:
    """Not recorded at all: the page in headless Chromium, without a display or a sound server."""
    async with desk() as at:
        await at.show(*HEADLESS, site.url(page))
        yield Recording(at)


WAYS: Final = {
    "gstreamer": gstreamer,
    "ffmpeg": ffmpeg,
    "mediarecorder": mediarecorder,
    "headless": headless,
}


def require(way: str) -> None:
    """Raises `ProgramMissing` when something of it is not installed."""
    for program in PROGRAMS[way]:
        if shutil.which(program) is None:
            raise ProgramMissing(way, program, PACKAGES.get(program, program))
