"""The process that records one page: real display, sound server, browser, and what it leaves behind."""

import os
import pwd
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from panoreel.recorder.leftovers import sweep
from panoreel.recorder.protocol import (
    Failed,
    LimitReached,
    SegmentSealed,
    Started,
    Stop,
    Stopped,
)
from panoreel.recorder.segments import sealed
from tests.servers.child import SERVICE_USER, pictures, recording
from tests.servers.leftovers import nothing_left, still_alive
from tests.servers.ports import free_ports

PAGE = """<!doctype html><meta charset="utf-8"><style>
  html { height: 100%; background: #00f } body { margin: 0 }
  i { position: fixed; width: 50%; height: 50%; background: #f00; left: 0; top: 0 }
</style><i></i><script>
  let n = 0; (function f() { document.title = n++; document.body.style.color = n % 2 ? 'red' : 'blue';
  requestAnimationFrame(f) })()
</script>"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """The address of a blue page with a red upper left quarter, which draws all the time."""
    (tmp_path / "index.html").write_text(PAGE)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]  # passed through

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("width", "height"), [(640, 360), (321, 201), (2, 2)])
def test_the_page_fills_the_picture_until_the_limit(page: str, width: int, height: int) -> None:
    with nothing_left(), recording(page, 2.5, width, height) as child:
        reports = child.reports()
        assert child.process.returncode == 0
        assert isinstance(reports[0], Started)
        [limit] = [report for report in reports if isinstance(report, LimitReached)]
        segments = [report for report in reports if isinstance(report, SegmentSealed)]
        stopped = reports[-1]
        assert isinstance(stopped, Stopped)
        assert stopped.duration_s == pytest.approx(2.5, abs=0.001)
        assert reports.index(limit) < len(reports) - 1
        assert [segment.media.index for segment in segments] == list(range(len(segments)))
        assert sum(segment.media.frames for segment in segments) == stopped.frames
        picture = pictures(segments[0].path)[-1]
        assert picture.shape == (height + height % 2, width + width % 2, 3)
        if min(width, height) > 10:
            quarter = picture[5 : height // 2 - 5, 5 : width // 2 - 5]
            below = picture[height // 2 + 5 : height, :width]
            assert np.abs(quarter.astype(int) - (255, 0, 0)).max() <= 8
            assert np.abs(below.astype(int) - (0, 0, 255)).max() <= 8
        assert not child.stage.run.exists()


def test_the_browser_is_sandboxed_and_nobody_is_root(page: str) -> None:
    with recording(page, 60) as child:
        child.await_start()
        strangers = [
            process
            for process in child.programs()
            if any(name in process.exe() for name in ("chrom", "Xorg", "Xvfb", "pulse"))
        ]
        assert len({process.exe() for process in strangers}) >= 3
        if os.geteuid() == 0:
            assert {process.uids().real for process in strangers} == {pwd.getpwnam(SERVICE_USER).pw_uid}
        assert not any("--no-sandbox" in process.cmdline() for process in strangers)
        renderers = [process for process in strangers if "--type=renderer" in process.cmdline()]
        assert renderers
        for renderer in renderers:
            status = Path(f"/proc/{renderer.pid}/status").read_text()
            assert "Seccomp:\t2" in status
            # Another process and network namespace than ours.
            for kind in ("pid", "net"):
                theirs = Path(f"/proc/{renderer.pid}/ns/{kind}").readlink()
                assert theirs != Path(f"/proc/self/ns/{kind}").readlink()
        child.tell(Stop())
        assert isinstance(child.reports()[-1], Stopped)


@pytest.mark.parametrize("signal_name", ["kill", "end of input"])
def test_a_child_that_is_killed_leaves_its_segments_and_nothing_else(page: str, signal_name: str) -> None:
    with nothing_left(), recording(page, 60) as child:
        child.await_start()
        assert isinstance(child.report(), SegmentSealed)
        programs = child.programs()
        assert len(programs) >= 4
        if signal_name == "kill":
            child.process.kill()
        else:
            assert child.process.stdin
            child.process.stdin.close()
        child.process.wait(30)
        sweep(child.stage.run)
        assert still_alive(programs) == []
        found = sealed(child.order.spool)
        assert [media.index for _, media in found] == list(range(len(found)))
        assert len(pictures(found[0][0])) == found[0][1].frames


def test_a_page_that_cannot_be_opened_is_a_permanent_failure_without_its_secrets() -> None:
    [port] = free_ports(1)
    with recording(f"http://user:hunter2@127.0.0.1:{port}/page?token=hunter2", 60) as child:
        [failure] = child.reports()
        assert isinstance(failure, Failed)
        assert failure.permanent
        assert failure.message == (
            f"RecordURL http://127.0.0.1:{port}/page could not be opened: "
            "the connection was refused (ERR_CONNECTION_REFUSED)"
        )
