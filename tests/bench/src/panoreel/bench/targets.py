"""What is aimed at, and which figure of the results tells whether it is met."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

Results = Mapping[str, Any]

LONG_S: Final = 600
LONG_MEMORY_S: Final = 1200
"""So long must be recorded before a target on sync or sound, or on memory, can be told to be met."""


@dataclass(frozen=True)
class Target:
    """A limit on the figure at the path `figure`, divided by the one at `over` if there is one.

    A run shorter than `least_s`, by the `seconds` at the path `run`, tells nothing about it.
    """

    what: str
    figure: str
    limit: float
    over: str | None = None
    at_least: bool = False
    unit: str = ""
    either_sign: bool = False
    run: str = ""
    least_s: float = 0

    def value(self, results: Results) -> float | None:
        """The figure; None when it, or what it is divided by, was not measured."""
        value = _at(results, self.figure)
        if self.over is not None and value is not None:
            over = _at(results, self.over)
            value = value / over if over else None
        return abs(value) if value is not None and self.either_sign else value

    def is_told_by(self, results: Results) -> bool:
        """Whether the run was long enough."""
        return (_at(results, f"{self.run}.seconds") or 0) >= self.least_s

    def is_met(self, value: float) -> bool:
        """Whether a figure is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit}"


def _at(results: Results, path: str) -> float | None:
    found: Any = results
    for name in path.split("."):
        if isinstance(found, list):
            found = dict(enumerate(found)).get(int(name))
        elif isinstance(found, Mapping):
            found = found.get(name)
    return None if found is None else float(found)


def _long(run: str, least_s: float, *targets: Target) -> tuple[Target, ...]:
    return tuple(replace(target, run=run, least_s=least_s) for target in targets)


def _sync(what: str, page: str) -> tuple[Target, ...]:
    run = f"sync.{page}"
    return _long(
        run,
        LONG_S,
        Target(f"{what}: picture against sound, p95", f"{run}.skew_ms.p95", 20, unit=" ms"),
        Target(f"{what}: picture against sound, at most", f"{run}.skew_ms.max", 40, unit=" ms"),
        Target(f"{what}: drift", f"{run}.drift_ms_per_min", 1, unit=" ms/min", either_sign=True),
        Target(f"{what}: flashes and beeps without their other", f"{run}.unpaired", 0),
    )


def _finish() -> tuple[Target, ...]:
    """Rows are in the order of lengths, then formats."""
    targets = []
    for number, muxer in enumerate(("MP4", "HLS")):
        minute, hour = (f"finish.rows.{row}.finish_s" for row in (number, number + 2))
        targets += [
            Target(f"Stop → finished, {muxer}, a minute", minute, 2, unit=" s"),
            Target(f"Stop → finished, {muxer}, an hour", hour, 2, unit=" s"),
            Target(f"Stop → finished, {muxer}, an hour against a minute", hour, 1.5, minute),
        ]
    return tuple(targets)


BUSY, SLIDES = "capture.busy", "capture.slides"

TARGETS: Final = (
    Target("busy page: cores against GStreamer's", f"{BUSY}.ours.cores", 0.55, f"{BUSY}.gstreamer.cores"),
    Target("busy page: against MediaRecorder's", f"{BUSY}.ours.cores", 0.40, f"{BUSY}.mediarecorder.cores"),
    Target(
        "busy page: against the page alone, headless (reach)",
        f"{BUSY}.ours.cores",
        1,
        f"{BUSY}.headless.cores",
    ),
    Target("slides: cores against GStreamer's", f"{SLIDES}.ours.cores", 0.15, f"{SLIDES}.gstreamer.cores"),
    Target(
        "numbers drawn by a timer: present",
        "smoothness.numbers.present",
        0.995,
        "smoothness.numbers.expected",
        at_least=True,
    ),
    Target("numbers drawn by a timer: repeated", "smoothness.numbers.repeated", 0),
    Target("numbers drawn by a timer: out of order", "smoothness.numbers.disordered", 0),
    Target("animation frames: interval, p99", "smoothness.raf.interval_ms.p99", 40, unit=" ms"),
    Target(
        "animation frames: error of time stamps, p95",
        "smoothness.raf.stamp_error_ms.absolute_p95",
        10,
        unit=" ms",
    ),
    Target(
        "animation frames: the same, but for their constant offset",
        "smoothness.raf.stamp_error_ms.p95",
        10,
        unit=" ms",
    ),
    *_sync("video", "sync"),
    *_sync("script", "sync-script"),
    *_long(
        "sound",
        LONG_S,
        Target("sine: gaps", "sound.gaps", 0),
        Target("sine: clicks", "sound.clicks", 0),
        Target("sine: largest jump of its phase", "sound.phase_jump_degrees", 5, unit="°"),
        Target("sine: the other side's, in each side", "sound.crosstalk", 0.01),
        Target("silence: loudest sample", "sound.silence", 0.001),
    ),
    Target("text: SSIM against the page's screenshot", "picture.ssim", 0.97, at_least=True),
    Target("colours: farthest from the page's", "picture.colour_error", 2, unit=" levels"),
    Target("colours: the file says BT.709", "picture.tagged_bt709", 1, at_least=True),
    Target("Start → first frame, warm, p95", "start.warm_ms.p95", 500, unit=" ms"),
    Target("Start → first frame, cold, p95", "start.cold_ms.p95", 2000, unit=" ms"),
    *_long(
        "memory",
        LONG_MEMORY_S,
        Target("memory of a recording (PSS), at most", "memory.pss_mb.max", 600, unit=" MB"),
        Target("growth of memory", "memory.growth_percent_per_hour", 1, unit=" %/h"),
    ),
    Target("slide pages at once", "density.recordings", 16, at_least=True),
    Target("slide pages at once: slides present, worst", "density.worst_present", 0.995, at_least=True),
    Target("slide pages at once: pictures, worst", "density.worst_fps", 0.95, at_least=True, unit="/s"),
    Target(
        "slide pages at once: error of time stamps, worst p95",
        "density.worst_stamp_error_p95_ms",
        10,
        unit=" ms",
    ),
    Target(
        "slide pages at once: memory of one (PSS)", "density.pss_mb", 600, "density.recordings", unit=" MB"
    ),
    Target("slide pages at once: cores of all", "density.cores", 2),
    Target("busy page: bytes against veryfast at equal SSIM", "bytes.busy.bytes_ratio", 1.25),
    Target("slides: bytes against veryfast at equal SSIM", "bytes.slides.bytes_ratio", 1.1),
    *_finish(),
)
