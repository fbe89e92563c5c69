"""The functions that a recorded page is given: `window.startRecord`, `pauseRecord` and the rest.

Each returns a promise, which the recording keeps or breaks. What a page asks for is written into the task's
log for good: a page in an endless loop must not fill it.
"""

from __future__ import annotations  # Playwright is loaded while display and sound server start

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

    from panoreel.recorder.controls import Controls
    from panoreel.recorder.protocol import ServiceAction

PageAction = Literal["start", "pause", "resume", "refresh", "stop"]

MAX_WAITING: Final = 10
"""How many calls may wait for their answer; further ones are refused."""

PACE_S: Final = 0.1
"""The least time between two calls."""

AT_ONCE: Final = 10
PER_S: Final = 1.0
"""How many calls may follow on each other, and how many a second after them."""

TOO_MANY: Final = f"{MAX_WAITING} calls wait for their answer already; wait for their promises"
TOO_OFTEN: Final = f"a page may call {AT_ONCE} times, and then {PER_S:g} time a second"

BINDING: Final = "__panoreel_call"

PLAYWRIGHT: Final = "__playwright__binding__"
"""Playwright's name for what carries a call, and with `controller__` behind it for what takes the answer."""

SCRIPT: Final = """(() => {
    // Nothing here uses what a page may replace, and the page cannot get at what Playwright left in it.
    const call = globalThis.PLAYWRIGHT, {Promise, Error, Object} = globalThis, {hasOwn} = Object;
    const calls = Object.create(null);
    let waiting = 0, last = 0;
    const hide = (name, value) =>
        Object.defineProperty(globalThis, name, {value, writable: false, configurable: false});
    delete globalThis.BINDING;
    hide('PLAYWRIGHT');
    hide('PLAYWRIGHTcontroller__', Object.freeze({deliverBindingResult(answer) {
        const done = calls[answer.seq];
        delete calls[answer.seq];
        if (done) done(hasOwn(answer, 'error') ? 'the recorder could not take it' : answer.result);
    }}));
    const offer = (name, action) => globalThis[name] = callback => new Promise((kept, broken) => {
        if (waiting >= MAX_WAITING) return broken(new Error('TOO_MANY'));
        waiting++;
        calls[++last] = error => {
            waiting--;
            if (error) return broken(new Error(error));
            try {
                if (typeof callback === 'function') callback();
                kept();
            } catch (thrown) { broken(thrown); }
        };
        call(`{"name": "BINDING", "seq": ${last}, "serializedArgs": ["${action}"]}`);
    });
    offer('startRecord', 'start');
    offer('pauseRecord', 'pause');
    offer('resumeRecord', 'resume');
    offer('refreshPage', 'refresh');
    offer('stopRecord', 'stop');
})()"""


class PageFunctions:
    """Takes the page's calls one after the other to `controls`."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._left = float(AT_ONCE)
        self._counted_at = time.monotonic()

    async def install(self, context: BrowserContext) -> None:
        """Give the functions to every page and frame of `context`, before their own scripts run."""
        await context.expose_binding(BINDING, self._called)
        script = SCRIPT.replace("MAX_WAITING", str(MAX_WAITING)).replace("TOO_MANY", TOO_MANY)
        await context.add_init_script(script.replace("PLAYWRIGHT", PLAYWRIGHT).replace("BINDING", BINDING))

    async def _called(self, _source: Any, action: Any = None, *_: Any) -> str | None:
        if action not in get_args(PageAction):
            return "there is no such function"
        if self._waiting >= MAX_WAITING:
            return TOO_MANY
        self._waiting += 1
        try:
            if action != "start":
                return await self._ask(action)
            # Out of turn: it may wait for long, and must not keep others from stopping.
            return None if await self._controls.begin_wanted() else await self._ask("resume")
        finally:
            self._waiting -= 1

    async def _ask(self, action: ServiceAction) -> str | None:
        await self._turn.acquire()
        try:
            if action != "stop" and not self._may_ask():
                return TOO_OFTEN
            return await self._controls.ask_service(action)
        finally:
            asyncio.get_running_loop().call_later(PACE_S, self._turn.release)

    def _may_ask(self) -> bool:
        now = time.monotonic()
        self._left = min(AT_ONCE, self._left + (now - self._counted_at) * PER_S)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
