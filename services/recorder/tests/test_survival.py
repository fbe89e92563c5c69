"""What is left out of a recording, and what goes on, when something breaks in the middle of it."""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from panoreel.contracts.events import PagePolicy
from panoreel.contracts.media import EncoderParameters, Frozen
from panoreel.recorder.controls import Controls
from panoreel.recorder.protocol import (
    Alive,
    Failed,
    Interrupted,
    LimitReached,
    Measured,
    Pause,
    RecordingOrder,
    Refresh,
    Refreshed,
    Report,
    Restored,
    Resume,
    Resumed,
    SegmentSealed,
    Started,
    Stop,
    Stopped,
    Troubled,
)
from tests.servers.child import Child, pictures, recording
from tests.servers.leftovers import nothing_left, still_alive
from tests.servers.pages import Site, serve_pages
from tests.servers.ports import free_ports
from tests.servers.tls import self_signed_certificate

NOTICED_S, GOING_ON_S = 1.0, 3.0

GREEN = """<style>html { background: #080 } body { font: 60px monospace; margin: 0 }</style><b></b><script>
    let number = 0;
    const shown = document.querySelector('b');
    requestAnimationFrame(function draw() { shown.textContent = number++; requestAnimationFrame(draw); });
    setInterval(async () => {
        const where = await (await fetch('SITE/where')).text();
        if (!where.endsWith('stay')) location = where.slice(where.indexOf('>', 16) + 1);
    }, 100);
    const audio = new AudioContext(), tone = audio.createOscillator();
    tone.connect(audio.destination);
    tone.start();
</script>"""
"""Draws on green all the time, sounds, and goes where it is told to go."""

WHITE = "<script>setInterval(() => document.title = Math.random(), 100)</script>"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_pages() as site:
        site.pages["/"] = site.pages["/next"] = GREEN.replace("SITE", site.address)
        site.pages["/where"] = "stay"
        yield site


@contextmanager
def distrusted(directory: Path) -> Iterator[str]:
    """The address of a site that has made its certificate itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed_certificate(directory))
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def victim(child: Child, name: str) -> psutil.Process:
    """The child's program of this name; of renderers, the one of the page."""
    found = []
    for program in child.programs():
        with suppress(psutil.NoSuchProcess):  # or a zombie
            words = program.cmdline()
            kind = next((word for word in words if word.startswith("--type=")), "")
            if name == "renderer" and kind == "--type=renderer" and "--top-chrome-webui" not in words:
                found.append((program.cpu_times().user, program))
            elif program.exe().endswith(name) and not kind:
                found.append((0.0, program))
    return max(found, key=lambda one: one[0])[1]


def until(child: Child, kind: type[Frozen], heard: list[Report]) -> None:
    """Wait for a report of this kind; `heard` gets all but those of what goes on all the time."""
    while True:
        report = child.report()
        if not isinstance(report, Alive | Measured | SegmentSealed):
            heard.append(report)
        if isinstance(report, kind | Failed):
            return


def check_only_green(child: Child) -> None:
    """Every picture that was stored is one of the page."""
    for path in segments(child):
        for picture in pictures(path):
            below = picture[200:].reshape(-1, 3).astype(int)
            assert np.abs(below - (0, 0x88, 0)).max() <= 12


def record_for(seconds: float) -> None:
    """Let so much be captured; nobody tells of single pictures and sounds, the media is looked at later."""
    time.sleep(seconds)


def segments(child: Child) -> list[Path]:
    return sorted(child.order.spool.glob("*.mp4"))


def sound(path: Path) -> NDArray[np.float32]:
    """The left channel."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def is_heard(path: Path) -> bool:
    return float(np.abs(sound(path)).max()) > 0.5


@pytest.mark.parametrize(
    ("names", "causes"),
    [
        (["chromium", "Xorg", "pulseaudio"], ["browser", "display", "sound"]),
        (["driver/node", "renderer"], ["browser", "crashed"]),
    ],
)
def test_a_recording_survives_what_it_runs(
    site: Site, names: list[str], causes: list[str], slack: float
) -> None:
    with nothing_left(), recording(f"{site.address}/", 120) as child:
        child.await_start()
        started, lost_s, programs = time.monotonic(), 0.0, child.programs()
        for name, cause in zip(names, causes, strict=True):
            record_for(1)
            victim(child, name).kill()
            killed, killed_at = time.monotonic(), datetime.now(UTC)
            heard: list[Report] = []
            until(child, Interrupted, heard)
            assert time.monotonic() - killed < NOTICED_S * slack
            until(child, Restored, heard)
            assert time.monotonic() - killed < GOING_ON_S * slack
            *troubled, interrupted, restored = heard
            assert isinstance(interrupted, Interrupted)
            assert isinstance(restored, Restored)
            assert len(troubled) == (cause == "crashed")
            assert (interrupted.cause, restored.cause) == (cause, cause)
            assert restored.began == interrupted.wall_time
            assert -0.5 < (restored.began - killed_at).total_seconds() < NOTICED_S * slack
            lost_s += (restored.ended - restored.began).total_seconds()
            programs += child.programs()
        record_for(2.5)
        # A recording may as well be stopped while all is set up again.
        victim(child, "chromium").kill()
        until(child, Interrupted, [])
        recorded_s = time.monotonic() - started - lost_s
        time.sleep(0.5)  # into the setting up, which takes longer
        child.tell(Stop())
        child.await_report(Restored)
        assert child.await_report(Measured).quality.gaps == len(names) + 1
        stopped = child.await_report(Stopped)
        assert stopped.duration_s == pytest.approx(recorded_s, abs=0.5 * slack)
        check_only_green(child)
        assert sum(len(pictures(path)) for path in segments(child)) == stopped.frames
        assert any(is_heard(path) for path in segments(child)[-2:])
        child.process.wait(30)
        assert still_alive(programs) == []


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("renderer", "PageError", "crashed 5 times"), ("chromium", "InternalErr", "the browser ended")],
)
def test_what_breaks_again_and_again_is_given_up(site: Site, name: str, code: str, message: str) -> None:
    with recording(f"{site.address}/", 120) as child:
        child.await_start()
        heard: list[Report] = []
        for end in [Restored] * 4 + [Failed]:
            victim(child, name).kill()
            until(child, end, heard)
        failed = heard[-1]
        assert isinstance(failed, Failed)
        assert (failed.code, failed.permanent) == (code, code == "PageError")
        assert message in failed.message
        assert sum(isinstance(report, Restored) for report in heard) == 5
        check_only_green(child)


def test_another_page_is_asked_for_while_the_browser_is_replaced(site: Site) -> None:
    site.pages["/white"] = WHITE
    with recording(f"{site.address}/", 120) as child:
        child.await_start()
        record_for(0.5)
        victim(child, "chromium").kill()
        child.tell(Refresh(record_url=f"{site.address}/white"))
        heard: list[Report] = []
        until(child, Refreshed, heard)
        record_for(0.5)
        child.tell(Stop())
        until(child, Stopped, heard)
        assert {type(report) for report in heard} == {Interrupted, Restored, Refreshed, Stopped}
        assert Refreshed(failure=None) in heard
        assert pictures(segments(child)[-1])[-1].mean() > 250


@pytest.mark.parametrize(("limit_s", "stops"), [(120, True), (4, False)])
def test_a_page_in_trouble_ends_before_its_first_picture(site: Site, limit_s: float, stops: bool) -> None:
    with recording(f"{site.address}/", limit_s, paused=True) as child:
        site.pages["/where"] = f"{site.address}/status/500"
        child.await_report(Troubled)
        child.tell(Resume())
        child.await_report(Resumed)
        if stops:
            child.tell(Stop())
        ended = [report for report in child.reports() if not isinstance(report, Alive)]
        assert ended == [*([] if stops else [LimitReached()]), Stopped(frames=0, duration_s=0)]


async def test_what_is_lost_in_a_pause_is_no_loss(tmp_path: Path) -> None:
    order = RecordingOrder(
        task_id="task",
        epoch=1,
        record_url="http://localhost/",
        encoder=EncoderParameters(width=64, height=64),
        remaining_s=1,
        spool=tmp_path,
    )
    controls = Controls(order, lambda report: None)
    began = time.monotonic()
    controls.obey(Pause())
    await asyncio.sleep(0.2)
    within = time.monotonic()
    assert controls.unpaused_s(within - 0.1, within) == 0
    controls.obey(Resume())
    assert controls.unpaused_s(began, within + 1) == pytest.approx(1, abs=0.1)


def test_trouble_is_mended_and_left_out(site: Site, tmp_path: Path) -> None:
    site.files["/download.bin"] = b"\0" * 1000
    [port] = free_ports(1)
    with recording(f"{site.address}/", 120) as child, distrusted(tmp_path) as secure:
        child.await_start()
        heard: list[Report] = []

        # These are no trouble.
        for where in ("status/204", "download.bin", "to?/next"):
            go(site, f"{site.address}/{where}")

        site.errors["/next"] = [500, 502]
        go(site, f"{site.address}/next")
        until(child, Restored, heard)
        go(site, f"http://127.0.0.1:{port}/")
        until(child, Interrupted, heard)
        with serve_pages(port=port) as other:
            other.pages["/"] = site.pages["/"]
            until(child, Restored, heard)
            go(site, secure)
            until(child, Interrupted, heard)
            child.tell(Refresh(record_url=f"{site.address}/next"))
            until(child, Restored, heard)
        record_for(0.5)
        child.tell(Stop())
        child.await_report(Stopped)
        check_only_green(child)
        troubles = [report for report in heard if isinstance(report, Troubled)]
        assert [(one.trouble, one.remedy, one.message) for one in troubles] == [
            ("http_error", "reload", "the page answered 500 Internal Server Error"),
            (
                "network_error",
                "reload",
                "the page could not be opened: the connection was refused (ERR_CONNECTION_REFUSED)",
            ),
            (
                "certificate_error",
                "reload",
                "the page could not be opened: no secure connection could be made, see its certificate "
                "(ERR_CERT_AUTHORITY_INVALID)",
            ),
        ]
        kinds = [type(report) for report in heard if not isinstance(report, Refreshed)]
        assert kinds == [Troubled, Interrupted, Restored] * 3
        assert Refreshed(failure=None) in heard


def go(site: Site, where: str) -> None:
    """Send the page there, which asks where to go ten times a second, or as often as it can."""
    asked, deadline = len(site.asked("/where")), time.monotonic() + 5
    site.pages["/where"] = where
    while len(site.asked("/where")) == asked and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    site.pages["/where"] = "stay"


@pytest.mark.parametrize("policy", ["fail", "continue"])
def test_trouble_may_be_the_end_or_be_recorded(site: Site, policy: str) -> None:
    on_error = PagePolicy.model_validate({"on_error": policy})
    with recording(f"{site.address}/", 120, page_policy=on_error) as child:
        child.await_start()
        record_for(1)
        go(site, f"{site.address}/status/503")
        heard: list[Report] = []
        until(child, Troubled, heard)
        [troubled] = heard
        assert isinstance(troubled, Troubled)
        assert troubled.remedy == policy
        if policy == "fail":
            until(child, Failed, heard)
            assert heard[1:] == [
                Failed(code="PageError", permanent=True, message="the page answered 503 Service Unavailable")
            ]
            check_only_green(child)
        else:
            record_for(1)
            child.tell(Stop())
            child.await_report(Stopped)
            assert pictures(segments(child)[-1])[-1][200:].mean() > 250


def test_an_error_page_may_be_what_is_to_be_recorded(site: Site) -> None:
    bearing = PagePolicy(on_error="continue")
    with recording(f"{site.address}/status/404", 120, page_policy=bearing) as child:
        assert {type(child.report()), type(child.report())} == {Started, Troubled}


def test_a_blank_page_is_told_of_or_loaded_again(site: Site) -> None:
    site.pages["/white"] = WHITE
    for on_blank in ("continue", "reload"):
        policy = PagePolicy.model_validate({"on_blank": on_blank, "blank_after_s": 1})
        with recording(f"{site.address}/white", 120, page_policy=policy) as child:
            child.await_start()
            heard: list[Report] = []
            until(child, Troubled, heard)
            site.pages["/white"] = GREEN.replace("SITE", site.address)
            record_for(2.5)
            child.tell(Stop())
            until(child, Stopped, heard)
            kinds = [type(report) for report in heard]
            mended: list[type[Frozen]] = [Interrupted, Restored] if on_blank == "reload" else []
            assert kinds == [Troubled, *mended, Stopped]
            site.pages["/white"] = WHITE
