"""What a measurement depends on: the machine and the versions of everything that takes part."""

import ctypes.util
import os
import platform
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Final

PROGRAMS: Final = {
    "chromium": (("/usr/lib/chromium/chromium", "--version"), r"Chromium ([\d.]+)"),
    "xorg": (("/usr/lib/xorg/Xorg", "-version"), r"X Server ([\d.]+)"),
    "pulseaudio": (("pulseaudio", "--version"), r"([\d.]+)"),
    "gstreamer": (("gst-launch-1.0", "--version"), r"GStreamer ([\d.]+)"),
    "ffmpeg": (("ffmpeg", "-version"), r"version (\S+)"),
}


def versions() -> dict[str, str]:
    """Versions by name; what is not installed is left out."""
    import av

    found = {name: _version(argv, pattern) for name, (argv, pattern) in PROGRAMS.items()}
    ours = {"kernel": platform.release(), "pyav": av.__version__, "x264": _x264()}
    found["x264 of gstreamer and ffmpeg"] = (ctypes.util.find_library("x264") or "").rpartition(".")[2]
    return ours | {name: version for name, version in found.items() if version}


def machine() -> dict[str, str | int]:
    """The processor's model, how many cores there are, memory, and the system."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = platform.freedesktop_os_release()
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory_bytes / 2**30),
        "system": f"{system['NAME']} {system.get('VERSION_ID', '')}".strip(),
    }


def _version(argv: tuple[str, ...], pattern: str) -> str | None:
    if shutil.which(argv[0]) is None:
        return None
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else None


def _x264() -> str:
    """What libx264 writes about itself into its first picture."""
    import av
    import numpy as np

    codec = av.VideoCodecContext.create("libx264", "w")
    codec.width = codec.height = 64
    codec.pix_fmt, codec.framerate = "yuv420p", Fraction(30)
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
    coded = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
    found = re.search(rb"x264 - core (\d+)", coded)
    return found[1].decode() if found else "unknown"
