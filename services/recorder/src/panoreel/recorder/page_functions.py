"""The functions that a recorded page is given: `window.startRecord`, `pauseRecord` and the rest.

Each returns a promise, which the recording keeps or breaks.
"""

from __future__ import annotations  # Playwright is loaded while display and sound server start

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

PageAction = Literal["start", "pause", "resume", "refresh", "stop"]

MAX_WAITING: Final = 10
"""How many calls may wait for their answer; further ones are refused."""

PACE_S: Final = 0.1
"""The least time between two calls: a page in an endless loop must not fill the log."""

TOO_MANY: Final = f"{MAX_WAITING} calls wait for their answer already; wait for their promises"

BINDING: Final = "__panoreel_call"

SCRIPT: Final = """(() => {
    const call = globalThis.BINDING, {Promise, Error} = globalThis, {stringify} = JSON;
    delete globalThis.BINDING;
    // What carries the call uses these globals, which a page may have replaced by then.
    const pristine = {Promise, JSON: {stringify: value => {
        const toJSON = Array.prototype.toJSON;
        delete Array.prototype.toJSON;
        try { return stringify(value); } finally { if (toJSON) Array.prototype.toJSON = toJSON; }
    }}};
    const ask = action => {
        const {Promise, JSON} = globalThis;
        globalThis.Promise = pristine.Promise;
        globalThis.JSON = pristine.JSON;
        try { return call(action); } finally { globalThis.Promise = Promise; globalThis.JSON = JSON; }
    };
    let waiting = 0;
    const offer = (name, action) => globalThis[name] = async callback => {
        if (waiting >= MAX_WAITING) throw new Error('TOO_MANY');
        waiting++;
        let error;
        try { error = await ask(action); } finally { waiting--; }
        if (error) throw new Error(error);
        if (typeof callback === 'function') callback();
    };
    offer('startRecord', 'start');
    offer('pauseRecord', 'pause');
    offer('resumeRecord', 'resume');
    offer('refreshPage', 'refresh');
    offer('stopRecord', 'stop');
})()"""


class PageFunctions:
    """Takes the page's calls one after the other to `ask`, which answers why one is refused, or None."""

    def __init__(self, ask: Callable[[PageAction], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def install(self, context: BrowserContext) -> None:
        """Give the functions to every page and frame of `context`, before their own scripts run."""
        await context.expose_binding(BINDING, self._called)
        script = SCRIPT.replace("BINDING", BINDING).replace("MAX_WAITING", str(MAX_WAITING))
        await context.add_init_script(script.replace("TOO_MANY", TOO_MANY))

    async def _called(self, _source: Any, action: Any = None, *_: Any) -> str | None:
        if action not in get_args(PageAction):
            return "there is no such function"
        if self._waiting >= MAX_WAITING:
            return TOO_MANY
        self._waiting += 1
        try:
            if action == "start":
                return await self._ask(action)  # it may wait for long, and must not keep others from stopping
            await self._turn.acquire()
            try:
                return await self._ask(action)
            finally:
                asyncio.get_running_loop().call_later(PACE_S, self._turn.release)
        finally:
            self._waiting -= 1
