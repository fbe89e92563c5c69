"""A page does what it can to end its own recording; it is recorded all the same."""

import time
from collections.abc import Iterator

import pytest

from panoreel.recorder import protocol
from panoreel.recorder.protocol import Failed, PageCallAnswered, PageCalled, Refresh, Refreshed, Stopped
from tests.servers.child import recording
from tests.servers.pages import Site, serve_pages

GARBAGE = """
    const garbage = [
        'nope', 'null', '[]', '{}', '{"name": "x"}',
        '{"name": "__panoreel_call", "seq": {}, "serializedArgs": [{"o": [], "id": 1}, {"ref": 99}]}',
    ];
    let reached = 0;
    window.reach = inner => {
        const names = [...Object.getOwnPropertyNames(inner), '__playwright__binding__', '__panoreel_call'];
        for (const name of names.filter(name => name.startsWith('__p'))) try {
            const found = inner[name];
            const ways = [found, found && found._global, ...(found ? Object.values(found) : [])];
            for (const way of ways.filter(way => typeof way === 'function')) for (const one of garbage) {
                try { way(one); } catch {}
                if (/native code/.test(Function.prototype.toString.call(way))) reached++;
            }
        } catch {}
    };
"""
"""Sends nonsense to whatever the browser's driver has left in a window."""

FRAMES = """
    reach(window);
    const add = attributes => {
        const frame = Object.assign(document.createElement('iframe'), attributes);
        document.documentElement.append(frame);
        try { reach(frame.contentWindow); frame.onload = () => reach(frame.contentWindow); } catch {}
        return frame;
    };
    const blob = URL.createObjectURL(new Blob(['x'], {type: 'text/html'}));
    for (const src of ['', 'about:blank', 'javascript:1', '/frame', blob]) add({src});
    add({srcdoc: 'x'});
    const written = add({}).contentDocument;
    written.open(); written.write('x'); reach(written.defaultView); written.close();
    add({}).contentWindow.eval('parent.reach(window)');
    for (const name of ['object', 'embed', 'frame']) {
        const element = document.createElement(name);
        Object.assign(element, {data: '/frame', src: '/frame', type: 'text/html'});
        document.documentElement.append(element);
        setTimeout(() => { if (element.contentWindow) reach(element.contentWindow); }, 500);
    }
"""

BROKEN_TYPES = """<script>
    Object.prototype.toJSON = () => 'no';
    Object.prototype.error = 'no';
    window.Promise = Object.hasOwn = Object.create = Object.defineProperty = () => { throw new Error('no'); };
</script>"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_pages() as site:
        yield site


def test_no_frame_can_talk_to_the_driver(site: Site) -> None:
    """A driver that is sent what it does not know ends, and with it the browser."""
    with serve_pages("127.0.0.2") as stranger:
        report = "setTimeout(() => fetch('SITE/say?reached=' + reached), 1500)".replace("SITE", site.address)
        stranger.pages["/"] = f"<script>{GARBAGE} reach(window); {report}</script>"
        site.pages |= {
            "/frame": f"<script>{GARBAGE} reach(window); {report}</script>",
            "/": f"<iframe src='{stranger.address}/'></iframe><script>{GARBAGE}{FRAMES}{report}</script>",
        }
        with recording(f"{site.address}/", 60) as child:
            child.await_start()
            for _ in range(4):
                assert site.said("reached") == "0"
            child.tell(protocol.Stop())
            assert isinstance(child.reports()[-1], Stopped)


def test_a_page_that_breaks_its_own_types_is_answered(site: Site) -> None:
    site.pages["/"] = (
        BROKEN_TYPES
        + """<script>
        const say = told => () => fetch('/say?' + told);
        setTimeout(() => pauseRecord(say('called=back')).then(say('then=kept')), 300);
    </script>"""
    )
    with recording(f"{site.address}/", 60) as child:
        called = child.await_report(PageCalled)
        child.tell(PageCallAnswered(call=called.call))
        assert (site.said("called"), site.said("then")) == ("back", "kept")
        child.tell(protocol.Stop())
        assert isinstance(child.reports()[-1], Stopped)


def test_a_driver_that_dies_while_the_page_loads_is_no_fault_of_the_page(site: Site) -> None:
    with recording(f"{site.address}/hang", 60) as child:
        while not site.asked("/hang"):
            time.sleep(0.05)
        driver = next(process for process in child.programs() if process.exe().endswith("driver/node"))
        driver.kill()
        [failure] = child.reports()
        assert isinstance(failure, Failed)
        assert not failure.permanent


def test_refreshes_that_wait_are_answered_by_one(site: Site) -> None:
    with recording(f"{site.address}/", 60) as child:
        child.await_start()
        orders = [None] * 10 + [f"{site.address}/other"] * 5 + [None] * 5
        for url in orders:
            child.tell(Refresh(record_url=url))
        for _ in orders:
            assert child.await_report(Refreshed).failure is None
        child.tell(protocol.Stop())
        assert not any(isinstance(report, Refreshed) for report in child.reports())
    assert 2 <= len(site.asked("/")) <= 3, "once to begin with, and one or two times for the ten"
    assert len(site.asked("/other")) == 2
