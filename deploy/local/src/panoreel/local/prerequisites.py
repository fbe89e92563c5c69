"""What must be installed on this machine beside the Python packages, and the commands that install it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import MissingPrerequisites
from .services import SERVICE_USER

XORG_DUMMY = Path("/usr/lib/xorg/modules/drivers/dummy_drv.so")
XORG = Path("/usr/lib/xorg/Xorg")
FONTS = Path("/usr/share/fonts")


def check() -> None:
    """Look for everything that a recording needs, within milliseconds.

    Raises `MissingPrerequisites`, whose message names what is missing, package by package.
    """
    missing = [package for package, is_there in PACKAGES.items() if not is_there()]
    lines = [f"  {package}" for package in missing]
    commands = []
    if missing:
        commands.append(f"apt-get install --no-install-recommends {' '.join(missing)}")
    if os.geteuid() == 0:
        if not _service_user_exists():
            lines.append(
                f"  the system user {SERVICE_USER}, as whom the browser runs when Panoreel is started by root"
            )
            commands.append(
                f"useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {SERVICE_USER}"
            )
        if not _user_namespaces_work():
            lines.append(
                "  user namespaces, with which root runs Postgres as an ordinary user (user_namespaces(7))"
            )
            commands.append(
                "sysctl -w user.max_user_namespaces=10000   (or run Panoreel as an ordinary user)"
            )
    if lines:
        raise MissingPrerequisites(
            "\n".join(["missing on this machine:", *lines, "to be had with:", *_as_root(commands)])
        )


def _as_root(commands: list[str]) -> list[str]:
    return [f"  {command}" if os.geteuid() == 0 else f"  sudo {command}" for command in commands]


def _program(name: str) -> Callable[[], bool]:
    return lambda: (
        shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin:" + os.environ.get("PATH", "")) is not None
    )


def _display() -> bool:
    """Xorg's dummy driver keeps the recording's frame rate; Xvfb serves as well, at more cost."""
    return (XORG.exists() and XORG_DUMMY.exists()) or _program("Xvfb")()


def _font(pattern: str) -> Callable[[], bool]:
    return lambda: any(FONTS.glob(f"**/{pattern}"))


def _library(name: str) -> Callable[[], bool]:
    return lambda: any(Path("/usr/lib").glob(f"*/{name}"))


def _service_user_exists() -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam(SERVICE_USER))
    return False


def _user_namespaces_work() -> bool:
    return subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode == 0


PACKAGES: dict[str, Callable[[], bool]] = {
    "util-linux": lambda: _program("setpriv")() and _program("unshare")(),
    "chromium": _program("chromium"),
    "chromium-sandbox": Path("/usr/lib/chromium/chrome-sandbox").exists,
    "xserver-xorg-core xserver-xorg-video-dummy": _display,
    "pulseaudio": _program("pulseaudio"),
    "libpulse0": _library("libpulse-simple.so.0"),
    "libatomic1": _library("libatomic.so.1"),
    "libxcb1": _library("libxcb.so.1"),
    "fonts-noto-cjk": _font("NotoSansCJK*"),
    "fonts-noto-color-emoji": _font("NotoColorEmoji*"),
    "fonts-liberation": _font("Liberation*"),
}
"""Debian packages, and how to tell that what Panoreel needs of each is there, whoever installed it."""
