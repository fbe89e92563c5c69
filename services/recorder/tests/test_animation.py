"""When the animation callbacks of a page are put off for a tick, by a clock that the test drives."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from panoreel.recorder.animation import SCRIPT

HZ = 25

DRIVE = """
    // A screen of 25 Hz on which each frame takes as long as it is told to; callbacks wait as in a browser.
    let time = 0, waiting = new Map(), last = 0;
    Object.defineProperty(performance, 'now', {value: () => time});
    globalThis.requestAnimationFrame = function requestAnimationFrame(callback) {
        if (typeof callback !== 'function') throw new TypeError('no function');
        waiting.set(++last, callback);
        return last;
    };
    globalThis.cancelAnimationFrame = id => void waiting.delete(id);
    const show = took => {
        time = Math.ceil((time + 1) / 40) * 40;
        const now = time, due = [...waiting.keys()];
        for (const id of due) {
            const callback = waiting.get(id);
            if (!waiting.delete(id)) continue;
            try { callback(now); } catch (error) { thrown.push(error.message); }
        }
        time = now + took;
    };
    const ran = [], thrown = [];
"""

STEADY = """
    let frame = 0;
    requestAnimationFrame(function draw(now) {
        ran.push(now / 40);
        time = now + TIMES[frame++];
        requestAnimationFrame(draw);
    });
    while (frame < TIMES.length) show(1);
    console.log(JSON.stringify(ran));
"""

CALLS = """
    for (let frame = 1; frame < 5; frame++) {  // the next one is put off
        requestAnimationFrame(() => {});
        show(1);
    }
    const call = name => requestAnimationFrame(now => ran.push([name, now / 40]));
    call('first');
    const second = call('second'), third = requestAnimationFrame(() => { throw new Error('of the page'); });
    const fourth = call('fourth');
    cancelAnimationFrame(second);
    requestAnimationFrame(() => cancelAnimationFrame(fifth));
    const fifth = call('fifth');
    show(1);
    cancelAnimationFrame(fourth);
    const sixth = call('sixth');
    show(1);
    show(1);
    try { requestAnimationFrame({}); } catch (error) { thrown.push(error.name); }
    const unlike = [requestAnimationFrame.name, requestAnimationFrame.length,
        /native code/.test(requestAnimationFrame), new Set([second, third, fourth, fifth, sixth]).size];
    console.log(JSON.stringify([ran, thrown, unlike]));
"""


def answer(code: str) -> Any:
    """What `code` logs when the script is in place."""
    program = DRIVE + SCRIPT.replace("HZ", str(HZ)) + ";" + code
    done = subprocess.run(["node", "-e", program], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def put_off(frames_ms: Sequence[float]) -> list[int]:
    """Before which frames the callbacks waited, when frames take so long."""
    ran = answer(STEADY.replace("TIMES", json.dumps(list(frames_ms))))
    return [number for number in range(1, len(ran)) if ran[number] - ran[number - 1] > 1]


@pytest.mark.parametrize(
    ("frames_ms", "expected"),
    [
        pytest.param([5] * 60, [4], id="once, after the page has begun"),
        pytest.param([5] * 40 + [30] + [5] * 20, [4, 45], id="once after a late frame"),
        pytest.param([5] * 40 + [25] + [5] * 20, [4], id="not after one in time"),
        pytest.param([30] * 60, [], id="not while all are late"),
        pytest.param([5] * 40 + [30, 5, 5] * 10, [4], id="not before some are in time"),
        pytest.param([30, *[5] * 9] * 5, [5, 29], id="once a second"),
    ],
)
def test_callbacks_wait_for_a_tick_after_late_frames(frames_ms: list[float], expected: list[int]) -> None:
    assert put_off(frames_ms) == expected


def test_pages_notice_nothing_else() -> None:
    ran, thrown, unlike = answer(CALLS)
    assert ran == [["first", 6], ["sixth", 6]]
    assert thrown == ["of the page", "TypeError"]
    assert unlike == ["requestAnimationFrame", 1, True, 5]
