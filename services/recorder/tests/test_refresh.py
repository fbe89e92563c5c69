"""Whether a picture's time is that of the frame that the page drew, also by the clock of a real page."""

import json
from itertools import pairwise

import numpy as np
import pytest

from panoreel.recorder.refresh import TO_SCREEN_S, Refresh, refresh_hz
from panoreel.recorder.segments import sealed
from tests.e2e import media
from tests.servers.child import recording
from tests.servers.pages import serve_pages

FPS = 30
INTERVAL_S = 0.033333
PAGE = """<style>body { margin: 0; background: #000; height: 100vh }</style><script>
    const turns = [];
    let frames = 0;
    requestAnimationFrame(function frame(now) {
        if (++frames % 5 == 0) {
            document.body.style.background = turns.length % 2 ? '#000' : '#fff';
            turns.push(performance.timeOrigin + now);
        } else document.body.style.outline = `${frames % 2}px solid #888`;
        while (frames == 20 && performance.now() < now + 30);  // too late for the tick
        if (turns.length == 24) fetch('/say?turns=' + JSON.stringify(turns));
        requestAnimationFrame(frame);
    });
</script>"""


@pytest.mark.parametrize(
    ("fps", "hz"), [(1, 30), (10, 30), (15, 30), (24, 48), (25, 50), (30, 30), (31, 31), (60, 60)]
)
def test_a_screen_is_never_slow_and_shows_each_picture_equally_often(fps: int, hz: int) -> None:
    assert refresh_hz(fps) == hz


def test_what_moves_has_the_time_of_its_ticks_and_what_changes_at_times_its_own() -> None:
    refresh = Refresh(FPS)
    first = 1000 * INTERVAL_S
    delays = np.random.default_rng(1).uniform(0.001, 0.03, 200)
    moments = [first + number * INTERVAL_S + delay for number, delay in enumerate(delays)]
    shown = [refresh.shown(moment) for moment in moments]
    assert shown[0] == moments[0] - TO_SCREEN_S
    assert shown[1:] == pytest.approx([first + number * INTERVAL_S for number in range(1, 200)], abs=1e-6)
    alone = moments[-1] + 0.5
    assert refresh.shown(alone) == alone - TO_SCREEN_S


def test_pictures_have_the_time_for_which_a_page_drew_them(slack: float) -> None:
    """Chromium shows what follows a late frame one refresh late, until the page does nothing in one."""
    with serve_pages() as site:
        site.pages["/"] = PAGE
        with recording(site.address, 5, 320, 180) as child:
            child.reports()
            drawn_s = np.array(json.loads(site.said("turns"))) / 1000
            [first, *_] = segments = sealed(child.order.spool)
            file = child.order.spool / "joined"
            file.write_bytes(b"".join(path.read_bytes() for path, _ in segments))
            light = [(frame.time_s, frame.picture.mean() > 128) for frame in media.frames(file)]
    begin_s = first[1].wall_time.timestamp()
    shown_s = [begin_s + late for (_, was), (late, now) in pairwise(light) if was != now]
    errors_s = np.array([shown - drawn_s[np.abs(drawn_s - shown + 0.01).argmin()] for shown in shown_s])
    errors_s = errors_s[np.abs(errors_s) < 2 * INTERVAL_S]
    assert len(errors_s) > 10
    beside_s = np.minimum(np.abs(errors_s), np.abs(errors_s - INTERVAL_S))
    assert np.median(beside_s) < 0.001 * slack, errors_s
    assert np.mean(np.abs(errors_s) < 0.01) > 0.25, errors_s  # else less than a fifth was
