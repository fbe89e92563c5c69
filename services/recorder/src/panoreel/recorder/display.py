"""A screen of the recording's own, on which nothing but the page is shown."""

import asyncio
import logging
import math
import os
import secrets
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from panoreel.recorder.errors import ProgramFailed
from panoreel.recorder.privileges import ProgramUser, end, log_tail, spawn
from panoreel.recorder.refresh import refresh_hz

log = logging.getLogger(__name__)

XORG = Path("/usr/lib/xorg/Xorg")
XVFB = Path("/usr/bin/Xvfb")
SOCKETS = Path("/tmp/.X11-unix")
START_TIMEOUT_S = 10.0
NUMBER_FILE = "display"
SLOWEST_PIXEL_CLOCK_HZ = 12_000_000
SMALLEST = 320
"""Neither Xorg nor Chromium's windows work reliably below this many pixels; a smaller picture is cut out."""

CONFIGURATION = """\
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoEnableDevices" "false"
    Option "AllowEmptyInput" "true"
    Option "DontVTSwitch" "true"
    Option "BlankTime" "0"
    Option "StandbyTime" "0"
    Option "SuspendTime" "0"
    Option "OffTime" "0"
EndSection
Section "Device"
    Identifier "device"
    Driver "dummy"
    VideoRam {video_ram_kib}
    DacSpeed 1000  # MHz: the default of 300 refuses large screens at 60 Hz
EndSection
Section "Monitor"
    Identifier "monitor"
    HorizSync 1-1000
    VertRefresh 1-1000
    {modeline}
EndSection
Section "Screen"
    Identifier "screen"
    Device "device"
    Monitor "monitor"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Modes "page"
        Virtual {width} {height}
    EndSubSection
EndSection
"""


@dataclass(frozen=True)
class Geometry:
    """The screen's size in pixels, at least the picture's, and how often a second it is refreshed."""

    width: int
    height: int
    hz: int

    @classmethod
    def holding(cls, width: int, height: int, fps: int) -> Self:
        """The smallest screen that can show a picture of this size, and hide the mouse pointer right of it.

        X demands even modes.
        """
        return cls(max(SMALLEST, width + width % 2 + 2), max(SMALLEST, height + height % 2), refresh_hz(fps))

    @property
    def modeline(self) -> str:
        """A mode of exactly `hz` Hz: Chromium animates at the rate of the screen.

        The totals make the pixel clock a whole number of kHz, which is all that X keeps of it, and no slower
        than the driver allows.
        """
        h_total = math.ceil((self.width + 80) / 10) * 10
        slowest_v_total = SLOWEST_PIXEL_CLOCK_HZ / self.hz / h_total
        v_total = math.ceil(max(self.height + 20, slowest_v_total) / 100) * 100
        horizontal = f"{self.width} {self.width + 16} {self.width + 48} {h_total}"
        vertical = f"{self.height} {self.height + 3} {self.height + 9} {v_total}"
        return f'Modeline "page" {h_total * v_total * self.hz / 1e6:.3f} {horizontal} {vertical}'

    @property
    def configuration(self) -> str:
        """xorg.conf(5) for the dummy driver."""
        video_ram_kib = max(4096, self.width * self.height * 8 // 1024)
        return CONFIGURATION.format(
            video_ram_kib=video_ram_kib, modeline=self.modeline, width=self.width, height=self.height
        )


class Display:
    """An X server for one recording: Xorg's dummy driver, or Xvfb where that cannot be had.

    Xvfb knows no refresh rate, so that a page animates at 60 Hz on it, which costs more.
    """

    def __init__(self, geometry: Geometry, user: ProgramUser, home: Path) -> None:
        self.geometry = geometry
        self.cookie = secrets.token_hex(16).encode()
        self.number = -1
        self._user = user
        self._home = home
        self._authority = home / "Xauthority"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        """What the environment variable DISPLAY is to hold."""
        return f":{self.number}"

    @property
    def env(self) -> dict[str, str]:
        """What a client of this display needs in its environment."""
        return {"DISPLAY": self.name, "XAUTHORITY": str(self._authority)}

    async def start(self) -> None:
        """Start the server; raises `ProgramFailed` when neither can be had."""
        self._write_authority()
        _make_socket_directory()
        if not (await self._start("xorg", self._xorg()) or await self._start("xvfb", self._xvfb())):
            raise ProgramFailed("no X server could be started: neither Xorg's dummy driver nor Xvfb")

    async def stop(self) -> None:
        """End the server, however far its start has come."""
        if self._process is not None:
            await end(self._process)
            remove_socket(self._home)

    async def ended(self) -> None:
        """Wait for the server to end by itself; raises `ProgramFailed` then."""
        assert self._process is not None
        await self._process.wait()
        raise ProgramFailed("the X server ended")

    def _write_authority(self) -> None:
        """One entry for any display of this machine (family 65535, `FamilyWild`, in <X11/Xauth.h>)."""
        fields = (b"", b"", b"MIT-MAGIC-COOKIE-1", self.cookie)
        entry = b"\xff\xff" + b"".join(struct.pack(">H", len(field)) + field for field in fields)
        self._authority.touch(mode=0o600)
        self._authority.write_bytes(entry)
        self._user.own(self._authority)

    def _xorg(self) -> list[str]:
        configuration = self._home / "xorg.conf"
        configuration.write_text(self.geometry.configuration)
        nowhere = str(self._home / "no-more-configuration")
        return [
            *(str(XORG), "-config", str(configuration), "-configdir", nowhere),
            *("-logfile", str(self._home / "Xorg.log"), "-novtswitch", "-dpms"),
        ]

    def _xvfb(self) -> list[str]:
        screen = f"{self.geometry.width}x{self.geometry.height}x24"
        return [str(XVFB), "-screen", "0", screen]

    async def _start(self, kind: str, argv: Sequence[str]) -> bool:
        """Start a server and wait until it accepts clients; False when it does not."""
        output = self._home / f"{kind}.log"
        ready, displayfd = os.pipe()
        server = [
            *argv,
            *("-displayfd", str(displayfd), "-auth", str(self._authority), "-nolisten", "tcp"),
            *("-noreset", "-nocursor", "-s", "0"),
            *("-extension", "GLX"),  # no page needs it here, and its drivers take 50 MB
        ]
        try:
            self._process = await spawn(
                self._user.command(server), home=self._home, log=output, pass_fds=[displayfd]
            )
        finally:
            os.close(displayfd)
        number = await _first_line(ready)
        if not number:
            await self.stop()
            log.warning("%s did not start: %s", kind, log_tail(output))
            return False
        self.number = int(number)
        (self._home / NUMBER_FILE).write_text(str(self.number))
        log.info("display %s by %s, %dx%d", self.name, kind, self.geometry.width, self.geometry.height)
        return True


async def _first_line(pipe: int) -> bytes:
    """What a server writes to its `-displayfd`, empty if it ended or took too long instead."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        return await asyncio.wait_for(reader.readline(), START_TIMEOUT_S)
    except TimeoutError:
        return b""
    finally:
        transport.close()


def _make_socket_directory() -> None:
    """X itself makes it only as root, and insists on the sticky bit."""
    if not SOCKETS.exists():
        SOCKETS.mkdir()
        SOCKETS.chmod(0o1777)


def remove_socket(home: Path) -> None:
    """Remove the socket of the X server that ran with this home, if it is dead.

    A killed server leaves its socket behind; with `-displayfd` it makes no lock file.
    """
    try:
        path = SOCKETS / f"X{int((home / NUMBER_FILE).read_text())}"
    except (FileNotFoundError, ValueError):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
