"""Children that wait with their stage set: each is used once, replaced, and gone when nobody needs it."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from panoreel.contracts.browser import BrowserLook
from panoreel.contracts.media import EncoderParameters
from panoreel.recorder import warm
from panoreel.recorder.child_process import ChildProcess
from panoreel.recorder.protocol import RecordingOrder, StageOrder, Started, Stop, Stopped
from panoreel.recorder.warm import WarmChildren
from tests.servers.child import LOOPBACK, SERVICE_USER
from tests.servers.leftovers import nothing_left, still_alive
from tests.servers.pages import Site, serve_pages

WAIT_S = 60.0
SIZE = (320, 180)
PROGRAMS = {"child", "chromium", "Xorg", "pulseaudio", "node"}


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(warm, "SETTLING_S", 0.2)
    monkeypatch.setattr(warm, "FIRST_PAUSE_S", 0.4)
    with nothing_left():
        yield


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_pages() as site:
        site.pages["/"] = "<h1>here</h1>"
        yield site


@pytest.fixture
def stage() -> Iterator[StageOrder]:
    with tempfile.TemporaryDirectory() as run:  # pytest's own lets no other user in
        Path(run).chmod(0o711)
        yield StageOrder(
            run=Path(run),
            user=SERVICE_USER if os.geteuid() == 0 else None,
            width=SIZE[0],
            height=SIZE[1],
            fps=30,
            allowed_networks=LOOPBACK,
        )


@asynccontextmanager
async def keeping(stage: StageOrder) -> AsyncIterator[WarmChildren]:
    """One waits for as long as the context lasts; afterwards nothing of it is left but who was taken."""
    children = WarmChildren(stage)
    keeper = asyncio.create_task(children.keep(1))
    try:
        yield children
    finally:
        keeper.cancel()
        await asyncio.wait({keeper})


def programs() -> dict[str, psutil.Process]:
    """What children of ours run, by its name, and `child`, such a child."""
    found: dict[str, psutil.Process] = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            name = "child" if process.cmdline()[-1:] == ["panoreel.recorder.child"] else process.exe()
            found.setdefault(Path(name).name, process)  # of Chromium the browser itself
    return {name: process for name, process in found.items() if name in PROGRAMS}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.05)


async def ready(children: WarmChildren, other_than: int = 0) -> int:
    """Wait until one is ready that is not this process; its process."""
    await until(lambda: any(child.pid != other_than for child in children.ready))
    return children.ready[0].pid


async def record(child: ChildProcess, url: str, spool: Path) -> float:
    """Record a page for a moment; the seconds until its first picture."""
    order = RecordingOrder(
        task_id="task",
        epoch=1,
        record_url=url,
        encoder=EncoderParameters(width=SIZE[0], height=SIZE[1]),
        remaining_s=60,
        spool=spool,
    )
    began = time.monotonic()
    child.record(order)
    reports = child.reports()
    async with asyncio.timeout(WAIT_S):
        assert isinstance(await anext(reports), Started)
        took_s = time.monotonic() - began
        child.tell(Stop())
        assert isinstance([report async for report in reports][-1], Stopped)
    assert await child.close() == 0
    return took_s


async def test_one_waits_is_used_once_and_replaced(
    stage: StageOrder, site: Site, tmp_path: Path, slack: float
) -> None:
    async with keeping(stage) as children:
        first = await ready(children)
        other = stage.model_copy(update={"look": BrowserLook(locale="zh-CN")})
        assert await children.take(other) is None, "a page must not meet a browser of another look"
        child = await children.take(stage)
        assert child
        assert child.pid == first
        assert await children.take(stage) is None
        children.began()
        assert await ready(children) != first
        assert await record(child, f"{site.address}/", tmp_path) < 2 * slack
        assert len(site.asked("/")) == 1
        waiting = list(programs().values())
        assert waiting
    assert still_alive(waiting) == []
    assert list(stage.run.iterdir()) == []


async def test_a_task_gets_what_is_only_being_prepared(stage: StageOrder, site: Site, tmp_path: Path) -> None:
    async with keeping(stage) as children:
        await until(lambda: "child" in programs())
        child = await children.take(stage)
        assert child
        await record(child, f"{site.address}/", tmp_path)


async def test_nobody_is_left_when_the_taker_is_cancelled(stage: StageOrder) -> None:
    async with keeping(stage) as children:
        await until(lambda: "child" in programs())
        child = programs()["child"]
        taking = asyncio.create_task(children.take(stage))
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait({taking})
        assert taking.cancelled()
        assert still_alive([child]) == []


async def test_one_that_breaks_while_it_waits_is_replaced(stage: StageOrder) -> None:
    async with keeping(stage) as children:
        for name in ("child", "chromium", "Xorg"):
            broken = await ready(children)
            before = list(programs().values())
            programs()[name].kill()
            await ready(children, broken)
            assert still_alive(before) == []
            assert len(list(stage.run.iterdir())) == 1


async def test_where_no_stage_can_be_set_it_is_tried_more_and_more_rarely(
    stage: StageOrder, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root steps down to a service user")
    async with keeping(stage.model_copy(update={"user": "no-such-user"})) as children:
        await asyncio.sleep(4)
        assert children.ready == []
    tries = capsys.readouterr().out.count("'no-such-user' does not exist")
    assert 1 <= tries <= 4


async def test_an_old_one_is_replaced(stage: StageOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "RECYCLE_S", 0.2)
    async with keeping(stage) as children:
        old = await ready(children)
        assert await ready(children, old) != old
