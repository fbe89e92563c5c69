"""What is recorded of one page after the other, in one browser."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from panoreel.recorder.protocol import Refresh, Refreshed, Stop
from panoreel.recorder.segments import sealed
from tests.servers.child import Child, recording
from tests.servers.pages import Site

LOOK_S = 1.0
SILENT_LOOK_S = 4.0
"""At what does not say when it is ready, as a document."""

STILL_S = 2.0
RATE = 48_000
BLOCK = RATE // 5


@dataclass
class Clip:
    """What was recorded of a page once it was ready, and what it `said` then, if that was waited for."""

    said: str | None
    pictures: list[NDArray[np.uint8]] = field(default_factory=list, repr=False)
    sound: list[NDArray[np.float32]] = field(default_factory=list, repr=False)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The last one."""
        return self.pictures[-1]

    def level(self, frequency_hz: float) -> float:
        """How loud a tone is when it is loudest, 0 to 1."""
        sound = np.concatenate(self.sound).mean(axis=1)
        blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
        wave = np.exp(-2j * np.pi * frequency_hz * np.arange(BLOCK) / RATE)
        return float((2 * np.abs(blocks @ wave) / BLOCK).max())


def clips_of(site: Site, paths: Mapping[str, str | None], **order: Any) -> tuple[dict[str, Clip], set[bytes]]:
    """Clips by path, and the content of all small files that the browser left on the disk.

    `paths` says under which name, if any, a page says that it is ready.
    """
    times = {}
    with recording(f"{site.address}/", 180, **order) as child:
        child.await_start()
        for path, name in paths.items():
            child.tell(Refresh(record_url=site.address + path))
            assert child.await_report(Refreshed).failure is None
            said = site.said(name) if name else None
            begin = time.time()
            time.sleep(LOOK_S if name else SILENT_LOOK_S)
            times[path] = Clip(said), begin, time.time()
        left = {path.read_bytes() for path in _small_files(child)}
        child.tell(Stop())
        child.reports()
        for moment, frame in _decoded(child):
            for clip, begin, end in times.values():
                if isinstance(frame, av.VideoFrame) and end - STILL_S <= moment <= end:
                    clip.pictures.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
                elif isinstance(frame, av.AudioFrame) and begin <= moment <= end:
                    clip.sound.append(frame.to_ndarray().T.astype(np.float32, copy=False))
    return {path: clip for path, (clip, _, _) in times.items()}, left


def _small_files(child: Child) -> Iterator[Any]:
    for path in child.stage.run.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1000:
            yield path


def _decoded(child: Child) -> Iterator[tuple[float, av.VideoFrame | av.AudioFrame]]:
    """Pictures and sound, and when they were shown and played, in Unix seconds."""
    for path, media in sealed(child.order.spool):
        origin = media.wall_time - timedelta(seconds=media.first_pts / 90_000)
        with av.open(str(path)) as container:
            for frame in container.decode(video=0, audio=0):
                assert isinstance(frame, av.VideoFrame | av.AudioFrame)
                assert frame.time is not None
                yield origin.timestamp() + frame.time, frame
