"""The process that records one page, driven over its protocol as the recorder service does it."""

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import psutil
from numpy.typing import NDArray

from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.leftovers import sweep
from panoreel.recorder.protocol import Command, RecordingOrder, Report, StageOrder, Started, report_adapter

SERVICE_USER = "panoreel"
REPORT_TIMEOUT_S = 60.0
LOOPBACK = (IPv4Network("127.0.0.0/8"),)

R = TypeVar("R")


class Child:
    """A running child and where it works."""

    def __init__(self, stage: StageOrder, order: RecordingOrder, within: Sequence[str] = ()) -> None:
        self.stage = stage
        self.order = order
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "panoreel.recorder.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        self._write(stage.model_dump_json())
        self._write(order.model_dump_json())

    def tell(self, command: Command) -> None:
        """Write a command."""
        self._write(command.model_dump_json())

    def report(self, timeout_s: float = REPORT_TIMEOUT_S) -> Report:
        """The next report; fails when there is none in time."""
        line = self._lines.get(timeout=timeout_s)
        assert line, "the child has ended"
        return report_adapter.validate_json(line)

    def await_report(self, kind: type[R]) -> R:
        """The next report of this kind; others are passed over."""
        while not isinstance(report := self.report(), kind):
            pass
        return report

    def await_start(self) -> None:
        """Wait for the first picture."""
        assert isinstance(self.report(), Started)

    def reports(self) -> list[Report]:
        """Everything until the child ends by itself."""
        found = []
        while line := self._lines.get(timeout=REPORT_TIMEOUT_S):
            found.append(report_adapter.validate_json(line))
        self.process.wait(30)
        return found

    def programs(self) -> list[psutil.Process]:
        """What the child has started and what that has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> None:
        """Kill the child, if it still lives."""
        self.process.kill()
        self.process.wait()
        self._reading.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()

    def _write(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")


@contextmanager
def recording(
    url: str,
    seconds: float,
    width: int = 640,
    height: int = 360,
    within: Sequence[str] = (),
    *,
    stage: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
    **order: Any,
) -> Iterator[Child]:
    """A child at work, started by the command `within`; what it leaves is swept up as the service does.

    `stage`, `encoder` and `order` are what differs from the usual in its orders.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        base = Path(directory)
        base.chmod(0o711)
        spool, run = base / "spool", base / "run"
        spool.mkdir()
        run.mkdir()
        picture = EncoderParameters(width=width, height=height, **(encoder or {}))
        recording_order = RecordingOrder(
            task_id="task",
            epoch=1,
            record_url=url,
            encoder=picture,
            remaining_s=seconds,
            spool=spool,
            **order,
        )
        stage_order: dict[str, Any] = {
            "run": run,
            "user": SERVICE_USER if os.geteuid() == 0 else None,
            "width": width,
            "height": height,
            "fps": picture.fps,
            "look": recording_order.browser.look,
            "allowed_networks": LOOPBACK,
        }
        child = Child(StageOrder(**stage_order | dict(stage or {})), recording_order, within)
        try:
            yield child
        finally:
            child.close()
            sweep(run)


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """What a media file shows, as arrays of rows, columns and RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]
