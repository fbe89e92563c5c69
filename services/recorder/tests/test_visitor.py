"""What a caller may choose of the browser, as pages and servers see it."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

from panoreel.contracts.browser import BrowserSettings, Cookie
from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.controls import Controls
from panoreel.recorder.errors import Accident, PageCrashed
from panoreel.recorder.protocol import Failed, RecordingOrder, Refresh, Refreshed, StageOrder, Stop
from panoreel.recorder.stage import Stage
from panoreel.recorder.visitor import origin
from tests.servers.child import LOOPBACK, SERVICE_USER, recording
from tests.servers.pages import Site, serve_pages

SEEN = """<script type=module>
    const media = scheme => matchMedia(`(prefers-color-scheme: ${scheme})`).matches;
    const inWorker = code => new Promise(done => {
        const worker = new Worker(URL.createObjectURL(new Blob([`postMessage(${code})`])));
        worker.onmessage = ({data}) => done(data);
    });
    const zone = 'Intl.DateTimeFormat().resolvedOptions().timeZone';
    fetch('/say?seen=' + encodeURIComponent(JSON.stringify({
        agent: navigator.userAgent, cookies: document.cookie, stored: {...localStorage},
        agentOfWorker: await inWorker('navigator.userAgent'), zoneOfWorker: await inWorker(zone),
        zone: eval(zone), language: navigator.language, numbers: (1234.5).toLocaleString(),
        dark: media('dark'), ratio: devicePixelRatio, size: [innerWidth, innerHeight],
        history: history.length,
    })));
</script>"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_pages() as site:
        yield site


@pytest.fixture
def stranger() -> Iterator[Site]:
    """A site of another origin."""
    with serve_pages("127.0.0.2") as site:
        yield site


def test_the_page_sees_the_visitor_that_was_ordered(site: Site, stranger: Site) -> None:
    site.pages["/"] = SEEN
    settings = BrowserSettings(
        cookies=(
            Cookie(name="seen", value="yes", domain="127.0.0.1", same_site="Strict", expires=4e9),
            Cookie(name="hidden", value="http", domain="127.0.0.1", http_only=True),
            Cookie(name="strange", value="no", domain="127.0.0.2"),
        ),
        local_storage={site.address: {"token": 'a"b', "empty": ""}, stranger.address: {"token": "no"}},
        user_agent="Recorder/1",
        locale="de-DE",
        timezone="Asia/Kolkata",
        color_scheme="dark",
        device_scale_factor=2,
    )
    with recording(f"{site.address}/", 60, browser=settings) as child:
        child.await_start()
        seen: dict[str, Any] = json.loads(site.said("seen"))
        child.tell(Stop())
        child.reports()
    assert seen == {
        "agent": "Recorder/1",
        "agentOfWorker": "Recorder/1",
        "cookies": "seen=yes",
        "stored": {"token": 'a"b', "empty": ""},
        "zone": "Asia/Calcutta",
        "zoneOfWorker": "Asia/Calcutta",
        "language": "de-DE",
        "numbers": "1.234,5",
        "dark": True,
        "ratio": 2,
        "size": [320, 180],
        "history": 2,  # the blank page that it began with is the other one
    }
    [request] = site.asked("/")
    assert request.headers["Cookie"] == "seen=yes; hidden=http"
    assert request.headers["Accept-Language"].startswith("de-DE")
    assert stranger.requests == []


def test_headers_go_to_the_origin_of_the_page_alone(site: Site, stranger: Site) -> None:
    site.pages["/"] = f"""<script>new Worker('/worker')
        fetch('/post', {{method: 'POST', body: 'x'.repeat(1 << 20), headers: {{'X-Own': '1'}}}});
        fetch('/ranged', {{headers: {{Range: 'bytes=0-1'}}}});
        fetch('/to?{stranger.address}/redirected');
        fetch('{stranger.address}/fetched');
        </script><img src='{stranger.address}/to?{site.address}/back'>
        <iframe src='{stranger.address}/frame'></iframe>"""
    site.pages["/done"] = "<script>fetch('/say?done=1'); setInterval(() => fetch('/polled'), 50)</script>"
    stranger.pages["/frame"] = f"<img src='{site.address}/from-frame'>"
    stranger.pages["/now-named"] = (
        f"<script>fetch('{site.address}/left').then(() => fetch('/say?left=1'))</script>"
    )
    settings = BrowserSettings(headers={"X-Token": "hunter2", "Accept": "own/type"})
    with recording(f"{site.address}/to?{site.address}/", 60, browser=settings) as child:
        child.await_start()
        child.tell(Refresh(record_url=f"{site.address}/done"))
        site.said("done")
        child.await_report(Refreshed)
        child.tell(Refresh(record_url=f"{stranger.address}/status/404"))
        assert child.await_report(Refreshed).failure
        before = len(site.asked("/polled"))
        while len(site.asked("/polled")) < before + 3:
            time.sleep(0.05)
        asked = list(site.requests)
        child.tell(Refresh(record_url=f"{stranger.address}/now-named"))
        child.await_report(Refreshed)
        stranger.said("left")
        child.tell(Stop())
        child.reports()
    for path in ("/", "/worker", "/post", "/ranged", "/to", "/back", "/from-frame", "/done", "/polled"):
        assert site.asked(path), path
        for request in (each for each in asked if each.path.partition("?")[0] == path):
            assert (request.headers["X-Token"], request.headers["Accept"]) == ("hunter2", "own/type"), path
    [post] = site.asked("/post")
    assert (len(post.body), post.headers["X-Own"]) == (1 << 20, "1")
    assert site.asked("/ranged")[0].headers["Range"] == "bytes=0-1"
    for path in ("/redirected", "/fetched", "/frame", "/to"):
        assert stranger.asked(path), path
        assert all("X-Token" not in request.headers for request in stranger.asked(path)), path
    assert stranger.asked("/now-named")[0].headers["X-Token"] == "hunter2"
    assert all("X-Token" not in request.headers for request in site.asked("/left"))


def test_a_page_that_lies_learns_neither_url_nor_headers(site: Site, stranger: Site) -> None:
    site.pages["/"] = f"""<script>
        const {{fetch, encodeURIComponent}} = window;
        const tell = (...told) => fetch('{stranger.address}/told?' + told.map(encodeURIComponent));
        window.URL = function(url) {{ tell(url); return {{origin: '{stranger.address}'}} }};
        Object.defineProperty(Object.prototype, 'origin', {{get: () => '{stranger.address}', set: tell}});
        for (const name of ['call', 'apply', 'bind'])
            Function.prototype[name] = function(...told) {{ tell(...told); return '{stranger.address}' }};
        for (const name of ['split', 'match', 'replace', 'toString'])
            String.prototype[name] = function(...told) {{ tell(this, ...told); return '{stranger.address}' }};
        setInterval(() => fetch('{stranger.address}/polled'), 50);
    </script>"""
    site.pages["/next"] = "<script>fetch('/say?next=1')</script>"
    settings = BrowserSettings(headers={"X-Token": "hunter2"})
    with recording(f"{site.address}/", 60, browser=settings) as child:
        child.await_start()
        child.tell(Refresh(record_url=f"{site.address}/status/404?token=hunter2"))
        assert child.await_report(Refreshed).failure
        time.sleep(0.5)
        child.tell(Refresh(record_url=f"{site.address}/next?token=hunter2"))
        site.said("next")
        child.tell(Stop())
        child.reports()
    assert site.asked("/next")[0].headers["X-Token"] == "hunter2"
    assert stranger.asked("/polled")
    assert "hunter2" not in str(stranger.requests)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://User:pw@Example.COM:80/a?b#c", "http://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:443/", "http://example.com:443"),
        ("https://example.com:08443/", "https://example.com:8443"),
        ("http://0x7f.1/", "http://127.0.0.1"),
        ("http://[0:0::1]:81/", "http://[::1]:81"),
        ("http://b\u00fccher.example./", "http://xn--bcher-kva.example."),
        ("http://%62.example/", "http://b.example"),
    ],
)
def test_an_origin_is_what_a_browser_makes_of_it(url: str, expected: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url", ["http://stra\u00dfe.example/", "http://stra%C3%9Fe.example/", "http:///", "http://a b/"]
)
def test_a_host_that_can_be_read_in_two_ways_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match="host"):
        origin(url)


def test_a_name_and_a_password_in_the_url_are_for_its_origin(site: Site, stranger: Site) -> None:
    site.pages["/private"] = f"""<script>onload = async () => {{
        await fetch('/private', {{headers: {{Authorization: 'own'}}}});
        await fetch('{stranger.address}/private', {{mode: 'no-cors'}});
        fetch('/say?done=1');
    }}</script>"""
    for written, sent in (("bob:p%40ss@", "Basic Ym9iOnBAc3M="), ("bob@", "Basic Ym9iOg==")):
        site.requests.clear()
        url = site.address.replace("//", f"//{written}") + "/private"
        with recording(url, 60) as child:
            child.await_start()
            site.said("done")
            child.tell(Refresh(record_url=f"{url}?again"))
            assert child.await_report(Refreshed).failure is None
            site.said("done")
            child.tell(Stop())
            child.reports()
        asked = [request.headers.get("Authorization") for request in site.asked("/private")]
        assert asked == [sent, "own"] * 2
    assert {request.headers.get("Authorization") for request in stranger.asked("/private")} == {None}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"timezone": "Mars/Olympus"}, "Browser.Timezone"),
        ({"locale": "not a language"}, "Browser.Locale"),
        ({"cookies": (Cookie(name="a", value="hunter2;", domain="127.0.0.1"),)}, "Browser.Cookies[0]"),
        ({"local_storage": {"http://127.0.0.1:x": {"hunter2": "hunter2"}}}, "Browser.StorageState"),
        ({"headers": {"X-Token": "hunter2\r\nX: y"}}, "Browser.Headers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_browser_refuses_is_named_without_its_value(
    site: Site, settings: dict[str, Any], sentence: str
) -> None:
    with recording(f"{site.address}/", 60, browser=BrowserSettings(**settings)) as child:
        [failure] = child.reports()
    assert isinstance(failure, Failed)
    assert failure.permanent
    assert sentence in failure.message
    assert "hunter2" not in failure.message
    assert site.requests == []


@pytest.mark.parametrize(
    "settings",
    [
        {"cookies": (Cookie(name="a", value="hunter2", domain="127.0.0.1"),)},
        {"local_storage": {"http://127.0.0.1:1": {"hunter2": "hunter2"}}},
    ],
    ids=["cookies", "storage"],
)
async def test_a_browser_that_has_gone_refuses_nothing(settings: dict[str, Any]) -> None:
    picture = EncoderParameters(width=320, height=180)
    # A stage changes the environment of its process, which is ours here and goes on.
    with patch.dict(os.environ), tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        base.chmod(0o711)
        run, spool = base / "run", base / "spool"
        run.mkdir()
        user = SERVICE_USER if os.geteuid() == 0 else None
        size = {"width": picture.width, "height": picture.height, "fps": picture.fps}
        order = RecordingOrder(
            task_id="task",
            epoch=1,
            record_url="http://127.0.0.1:1/",
            encoder=picture,
            remaining_s=60,
            spool=spool,
            browser=BrowserSettings(**settings),
        )
        async with Stage(StageOrder(run=run, user=user, allowed_networks=LOOPBACK, **size)) as stage:
            page = await stage.prepare(order, Controls(order, lambda _: None), lambda _: None)
            next(each for each in psutil.Process().children(recursive=True) if is_browser(each)).kill()
            with pytest.raises(Accident):
                await stage.ended()
            with pytest.raises(PageCrashed, match="the browser ended"):
                await page.open(10)


def is_browser(program: psutil.Process) -> bool:
    words = program.cmdline()
    return (
        bool(words)
        and words[0].endswith("/chromium")
        and not any(word.startswith("--type=") for word in words)
    )
