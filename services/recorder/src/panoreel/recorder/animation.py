"""Animated pages whose pictures are on the screen at the next tick of it, not at the one after.

When a page takes so long for a frame that the compositor's deadline has passed, Chromium shows that frame
one tick later, and then, since it always has one at hand, all that follow. When the page does nothing in one
tick, none is left over, and the next is in time again. That is nowhere promised but was measured (Chromium
156, 30 Hz): frames that took more than 0.77 of a tick brought it about. `test_refresh.py` tells when it
changes.
"""

from __future__ import annotations  # Playwright is loaded while display and sound server start

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

SCRIPT: Final = """(() => {
    // Nothing here uses what a page may replace. To pages, proxies of native functions look like these.
    const {Object, Proxy, Reflect: {apply}} = globalThis;
    const clock = performance.now.bind(performance), moved = Object.create(null);
    const TICK_MS = 1000 / HZ, LATE_MS = 0.65 * TICK_MS, CALM = 5, PAUSE_MS = 1000;
    // What a page does while it is loaded takes long: it is taken for late.
    let late = true, calm = 0, frame = 0, idle = -PAUSE_MS;
    const begin = now => {
        frame = now;
        if (!late || ++calm < CALM || now - idle < PAUSE_MS) return;
        late = false;
        idle = now;
    };
    const end = (now, asked) => {
        if (clock() - now < LATE_MS && now - asked < 1.5 * TICK_MS) return;
        late = true;
        calm = 0;
    };
    globalThis.requestAnimationFrame = new Proxy(requestAnimationFrame, {apply(request, self, args) {
        const callback = args[0];
        if (typeof callback !== 'function') return apply(request, self, args);
        let asked = clock();
        const run = now => {
            if (now !== frame) begin(now);
            if (now === idle) {
                asked = clock();
                moved[id] = request(run);
                return;
            }
            delete moved[id];
            try { apply(callback, undefined, [now]); } finally { end(now, asked); }
        };
        const id = apply(request, self, [run]);
        return id;
    }});
    globalThis.cancelAnimationFrame = new Proxy(cancelAnimationFrame, {apply(cancel, self, args) {
        return apply(cancel, self, args[0] in moved ? [moved[args[0]]] : args);
    }});
})()"""
"""Has the animation callbacks of a document wait for one tick, once a late frame is followed by a few that
are not, and not more often than once a second."""


async def keep_in_time(context: BrowserContext, hz: int) -> None:
    """Have shown in time what pages of `context` animate, on a screen of `hz` ticks a second."""
    await context.add_init_script(SCRIPT.replace("HZ", str(hz)))
