"""A recording is steered: by commands, and by the page that is recorded."""

import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from panoreel.recorder import protocol
from panoreel.recorder.protocol import (
    Failed,
    PageCallAnswered,
    PageCalled,
    Refresh,
    Refreshed,
    Report,
    Started,
    Stopped,
)
from panoreel.recorder.session import SILENCE_S
from tests.servers.child import Child, pictures, recording
from tests.servers.pages import Site, serve_pages
from tests.servers.ports import free_ports

BEATING = """<style>html {{ background: {color} }}</style><script>
    const born = Date.now();
    setInterval(() => fetch('/say?{color}=' + born), 100);
    (function draw() {{ document.title = Math.random(); requestAnimationFrame(draw) }})();
</script>"""

CALLING = """<script>
    const say = (name, value) => fetch('SITE/say?' + name + '=' + value);
    const call = window[location.search.slice(1)];
    onload = async () => {
        await call(() => say('called', 'back')).catch(error => say('broken', error.message));
        await call().catch(error => say('broken', error.message));
    };
</script>"""
"""Calls the function that the query names, twice."""

CALLS = {"pauseRecord": "pause", "resumeRecord": "resume", "refreshPage": "refresh", "stopRecord": "stop"}

FRAME = "<script>document.write(`<iframe src='ORIGIN/top${location.search}'></iframe>`)</script>"

REDEFINED = """<script>
    Array.prototype.toJSON = () => 'no';
    JSON.stringify = JSON.parse = () => 'no';
    JSON = Promise = function() { throw new TypeError('no'); };
</script>"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_pages() as site:
        site.pages["/"] = BEATING.format(color="blue")
        yield site


@pytest.fixture
def stranger() -> Iterator[Site]:
    """A site of another origin."""
    with serve_pages("127.0.0.2") as site:
        yield site


def heard(child: Child, seconds: float) -> list[Report]:
    """What the child reports for so long."""
    found = []
    deadline = time.monotonic() + seconds
    with suppress(queue.Empty):
        while True:
            found.append(child.report(max(0, deadline - time.monotonic())))
    return found


def ended(child: Child) -> Stopped:
    """Stop the child."""
    child.tell(protocol.Stop())
    stopped = child.await_report(Stopped)
    assert child.reports() == []
    assert child.process.returncode == 0
    return stopped


def refreshed(child: Child, url: str | None = None) -> str | None:
    """Refresh the page; why that failed, if it did."""
    child.tell(Refresh(record_url=url))
    failure = child.await_report(Refreshed).failure
    return failure.message if failure else None


def test_a_pause_is_told_and_what_is_shown_meanwhile_left_out(site: Site) -> None:
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        began = time.monotonic()
        for command, report in ((protocol.Pause, protocol.Paused), (protocol.Resume, protocol.Resumed)):
            for _ in range(2):  # the second time without effect, but not without an answer
                child.tell(command())
                child.await_report(report)
            time.sleep(1.5)
        assert ended(child).duration_s < time.monotonic() - began - 1.5


def test_a_pause_longer_than_the_patience_of_the_service_is_no_silence(site: Site) -> None:
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        child.tell(protocol.Pause())
        child.await_report(protocol.Paused)
        for _ in range(2):
            while not isinstance(child.report(SILENCE_S), protocol.Alive):
                pass
        ended(child)


def test_the_page_is_loaded_again_or_makes_way_for_another_one(site: Site) -> None:
    site.pages["/other"] = BEATING.format(color="lime")
    [port] = free_ports(1)
    with recording(f"{site.address}/?token=hunter2", 60, load_timeout_s=2) as child:
        child.await_start()
        first = site.said("blue")
        assert refreshed(child) is None
        site.silence()
        assert site.said("blue") > first
        assert refreshed(child, f"{site.address}/other") is None
        second = site.said("lime")
        site.silence()
        with pytest.raises(AssertionError, match="no page"):
            site.said("blue", timeout_s=0.5)
        for path, sentence in (
            (f"{site.address}/status/404?token=hunter2", "it answered 404 Not Found"),
            (f"{site.address}/status/503?token=hunter2", "it answered 503 Service Unavailable"),
            (f"{site.address}/hang?token=hunter2", "it did not answer within 2 s"),
            (f"{site.address}/status/204?token=hunter2", "it leads to no page"),
            (f"http://127.0.0.1:{port}/?token=hunter2", "connection was refused"),
            ("file:///etc/passwd", "neither http nor https"),
        ):
            message = refreshed(child, path)
            assert message
            assert sentence in message
            assert "hunter2" not in message
            site.silence()
            assert site.said("lime") == second, "the page before stays, and was not even loaded again"
        assert refreshed(child) is None
        site.silence()
        assert site.said("lime") > second
        child.tell(protocol.Stop())
        reports = child.reports()
        assert isinstance(reports[-1], Stopped)
        last = [report for report in reports if isinstance(report, protocol.SegmentSealed)][-1]
        assert abs(pictures(last.path)[-1][180, 320].astype(int) - (0, 255, 0)).max() <= 8


def test_a_page_that_never_comes_holds_nothing_up(site: Site) -> None:
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        child.tell(Refresh(record_url=f"{site.address}/hang"))
        asked = time.monotonic()
        child.tell(protocol.Pause())
        child.await_report(protocol.Paused)
        ended(child)
        assert time.monotonic() - asked < 30


HANGING = {
    "a loop": "setTimeout(() => { while (true); }, 500)",
    "one after the other": "setInterval(() => { while (true); }, 500)",
    "on leaving": "addEventListener('beforeunload', () => { while (true); })",
}


@pytest.mark.parametrize("script", HANGING.values(), ids=HANGING)
def test_a_page_that_hangs_makes_way_for_another_one(site: Site, script: str) -> None:
    site.pages |= {"/": f"<script>{script}</script>", "/other": BEATING.format(color="lime")}
    with recording(f"{site.address}/", 60, load_timeout_s=30) as child:
        child.await_start()
        for url in (None, f"{site.address}/other"):
            time.sleep(1)
            assert refreshed(child, url) is None
        site.said("lime")
        ended(child)
    assert len(site.asked("/")) == 2


def test_a_page_that_cannot_be_left_holds_nothing_up(site: Site) -> None:
    site.pages["/"] = """<script>setTimeout(() => {
        const request = new XMLHttpRequest();
        request.open('GET', '/hang', false);
        request.send();
    }, 500)</script>"""
    with recording(f"{site.address}/", 60, load_timeout_s=8) as child:
        child.await_start()
        time.sleep(1)
        for _ in range(2):
            message = refreshed(child, f"{site.address}/other")
            assert message
            assert "hangs" in message
        ended(child)


def test_a_page_that_hangs_when_it_is_to_play_can_be_stopped(site: Site) -> None:
    site.pages["/"] = """<body><video></video><script>
        Object.defineProperty(document, 'contentType', {get: () => 'video/mp4'});
        HTMLMediaElement.prototype.play = () => { while (true); };
    </script>"""
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        asked = time.monotonic()
        ended(child)
        assert time.monotonic() - asked < 30


@pytest.mark.parametrize("order", [{"paused": True}, {"manual_start": True}], ids=str)
def test_nothing_is_recorded_before_it_may_begin(site: Site, order: dict[str, Any]) -> None:
    with recording(f"{site.address}/", 60, **order) as child:
        site.said("blue")
        assert not any(isinstance(report, Started) for report in heard(child, 1.5))
        assert ended(child).frames == 0


def test_a_recording_that_was_claimed_in_a_pause_begins_when_it_ends(site: Site) -> None:
    with recording(f"{site.address}/", 60, paused=True) as child:
        site.said("blue")
        child.tell(protocol.Resume())
        child.await_report(Started)
        assert ended(child).frames > 0


def test_a_page_that_never_calls_start_record_fails_and_is_told_how_not_to(site: Site) -> None:
    with recording(f"{site.address}/", 60, manual_start=True, start_timeout_s=0.5) as child:
        [failure] = child.reports()
        assert isinstance(failure, Failed)
        assert (failure.code, failure.permanent) == ("ManualStartTimeout", True)
        assert failure.message == (
            "the page did not call window.startRecord within 0.5 s; "
            "let it call this function, or start the task without ManualStart"
        )


def test_a_pause_before_the_first_frame_has_an_end(site: Site) -> None:
    with recording(f"{site.address}/", 60, paused=True, start_timeout_s=0.5) as child:
        [failure] = child.reports()
        assert isinstance(failure, Failed)
        assert (failure.code, failure.permanent) == ("PauseTimeout", True)
        assert failure.message == (
            "the recording was paused before its first frame and not resumed within 0.5 s"
        )


def test_a_pause_that_was_taken_over_ends_with_the_duration_limit(site: Site) -> None:
    with recording(f"{site.address}/", 1, paused=True) as child:
        assert child.reports() == [protocol.LimitReached(), Stopped(frames=0, duration_s=0)]


def test_start_record_begins_and_then_resumes(site: Site) -> None:
    site.pages["/"] = "<script>startRecord().then(() => fetch('/say?began=1')).then(startRecord)</script>"
    with recording(f"{site.address}/", 60, manual_start=True) as child:
        child.await_report(Started)
        site.said("began")
        assert child.await_report(PageCalled).action == "resume"
        ended(child)


@pytest.mark.parametrize("where", ["/top", "/redefined", "/frame", "/strange"])
def test_what_the_page_calls_is_answered(site: Site, stranger: Site, where: str) -> None:
    calling = CALLING.replace("SITE", site.address)
    site.pages |= {
        "/top": calling,
        "/redefined": REDEFINED + calling,
        "/frame": FRAME.replace("ORIGIN", site.address),
        "/strange": FRAME.replace("ORIGIN", stranger.address),
    }
    stranger.pages["/top"] = calling
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        for name, action in CALLS.items():
            child.tell(Refresh(record_url=f"{site.address}{where}?{name}"))
            for error, told in ((None, "called"), ("can't do that now", "broken")):
                called = child.await_report(PageCalled)
                assert called.action == action
                child.tell(PageCallAnswered(call=called.call, error=error))
                assert site.said(told) == (error or "back")
        ended(child)


def test_a_page_that_calls_without_end_is_refused(site: Site) -> None:
    site.pages["/"] = """<script>
        let refused = 0;
        for (let n = 0; n < 5000; n++)
            pauseRecord(() => fetch('/say?called=back')).catch(error => { refused++; why = error.message; });
        setTimeout(() => fetch(`/say?refused=${refused} ${why}`), 500);
    </script>"""
    with recording(f"{site.address}/", 60) as child:
        called = child.await_report(PageCalled)
        assert site.said("refused").startswith("4990 10 calls wait for their answer already")
        assert not any(isinstance(report, PageCalled) for report in heard(child, 1)), "one after the other"
        child.tell(PageCallAnswered(call=called.call))
        assert site.said("called") == "back"
        child.await_report(PageCalled)
        ended(child)


@pytest.mark.parametrize("name", ["startRecord", "pauseRecord", "refreshPage"])
def test_a_page_that_calls_again_and_again_is_slowed_down(site: Site, name: str) -> None:
    site.pages["/"] = f"""<script>setTimeout(async () => {{
        for (let refused = 0; refused < 5; )
            await {name}().catch(error => fetch(`/say?refused=${{refused++}} ${{error.message}}`));
        stopRecord();
    }}, 500)</script>"""
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        asked = time.monotonic()
        calls = []
        while (called := child.await_report(PageCalled)).action != "stop":
            calls.append(called)
            child.tell(PageCallAnswered(call=called.call))
        assert 10 <= len(calls) <= 11 + time.monotonic() - asked
        assert site.said("refused") == "0 a page may call 10 times, and then 1 time a second"
        ended(child)


def test_the_page_is_opened_under_its_title(site: Site) -> None:
    site.pages["/"] = """<title>mine</title><iframe src=/frame></iframe>
        <script>onload = () => fetch('/say?title=' + document.title)</script>"""
    site.pages["/frame"] = "<script>onload = () => fetch('/say?inner=' + document.title)</script>"
    with recording(f"{site.address}/", 60, page_title='</script>\'Vorlesung "1"') as child:
        assert site.said("inner") == ""
        assert site.said("title") == '</script>\'Vorlesung "1"'
        ended(child)
