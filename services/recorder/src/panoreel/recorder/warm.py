"""Children that wait with their stage set, so that a recording of the usual kind begins at once.

Each is used once: nothing of one task can reach another.
"""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog

from panoreel.contracts.browser import BrowserLook
from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.child_process import ChildProcess
from panoreel.recorder.protocol import Failed, Ready, StageOrder

USUAL_PICTURE: Final = EncoderParameters(width=1280, height=720)
USUAL_LOOK: Final = BrowserLook()

START_TIMEOUT_S: Final = 60.0
OPENING_S: Final = 10.0
"""How long a recording usually takes to its first picture at most."""

SETTLING_S: Final = 5.0
"""How long a recording is left alone from its first picture on: setting a stage takes a core for a second."""

LOOK_AGAIN_S: Final = 1.0

RECYCLE_S: Final = 3600.0
"""How long a child waits at most: a browser grows, and the time zone that it has learnt changes."""

FIRST_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 60.0

_logger = structlog.get_logger()


class WarmChildren:
    """Keeps some children waiting on the stage `usual`."""

    def __init__(self, usual: StageOrder) -> None:
        self._usual = usual
        self._waiting: dict[ChildProcess, asyncio.Task[None]] = {}
        """Each with who watches it until it is taken."""
        self._quiet_from = 0.0
        self.ready: list[ChildProcess] = []
        """Those of them whose stage is set."""

    async def take(self, stage: StageOrder) -> ChildProcess | None:
        """One that has such a stage, or is setting it, if there is one. Whoever takes it closes it."""
        self._hold_off(OPENING_S)
        for child, watching in self._waiting.items():
            if child.stage == stage and not watching.done():
                del self._waiting[child]
                watching.cancel()  # it may be reading what the child tells
                try:
                    await asyncio.wait({watching})
                except asyncio.CancelledError:
                    child.kill()
                    await child.close()
                    raise
                return child
        return None

    def began(self) -> None:
        """A recording has its first picture: leave it alone for a while."""
        self._hold_off(SETTLING_S)

    async def keep(self, count: int) -> None:
        """Have so many wait, until cancelled. One that is taken, breaks, or gets old is replaced."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._keep_one())

    async def _keep_one(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            if (early_s := self._quiet_from - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(min(early_s, LOOK_AGAIN_S))  # the time may be put forward, too
                continue
            try:
                await self._offer_one()
                pause_s = FIRST_PAUSE_S
            except (OSError, TimeoutError, _Broken) as error:
                _logger.warning("no child waits for a task", error=str(error), next_try_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)

    async def _offer_one(self) -> None:
        """Have one wait until it is taken or old; raises what `_watch` does."""
        child = await ChildProcess.start(self._usual)
        watching = self._waiting[child] = asyncio.create_task(self._watch(child))
        try:
            await asyncio.wait({watching})
            if not watching.cancelled():
                watching.result()
        finally:
            if self._waiting.pop(child, None):
                watching.cancel()
                child.dismiss()
                await child.close()

    async def _watch(self, child: ChildProcess) -> None:
        """Wait until it is old; raises `TimeoutError` when it is not ready in time, `_Broken` at its end."""
        await _await_ready(child)
        self.ready.append(child)
        try:
            await asyncio.wait_for(child.exited(), RECYCLE_S)
        except TimeoutError:
            return
        finally:
            self.ready.remove(child)
        raise _Broken("a child ended while it waited, see its log")

    def _hold_off(self, seconds: float) -> None:
        self._quiet_from = asyncio.get_running_loop().time() + seconds


class _Broken(Exception):
    """A child's stage could not be set, or broke."""


async def _await_ready(child: ChildProcess) -> None:
    async with asyncio.timeout(START_TIMEOUT_S), aclosing(child.reports()) as reports:
        match await anext(reports, None):
            case Ready():
                return
            case Failed(message=message):
                raise _Broken(message)
            case _:
                raise _Broken("a child ended before its stage was set, see its log")
