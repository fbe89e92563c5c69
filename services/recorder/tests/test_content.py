"""Whatever a page is made of is seen and heard, and nothing but that."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from panoreel.contracts.browser import BrowserSettings
from tests.servers.clips import Clip, clips_of
from tests.servers.contents import AUDIO_HZ, DOWNLOAD, VIDEO_HZ, files
from tests.servers.needs import unmet
from tests.servers.pages import Site, serve_pages
from tests.servers.turn import serve_turn

TESTS = Path(__file__).parent
PAGES = TESTS / "pages" / "content"
CALL = "/call"
SYNTHESIZER_HZ, CALL_HZ = 700, 400
HEARD = 0.1
UNHEARD = 0.01

BLUE, RED, GREEN, BLACK = (0, 0, 255), (255, 0, 0), (0, 255, 0), (0, 0, 0)


@dataclass(frozen=True)
class Content:
    """What is seen in one color from edge to edge, and heard, when `path` is opened and ready."""

    path: str
    color: tuple[int, int, int]
    tones_hz: tuple[int, ...] = ()
    said: str | None = None

    @property
    def name(self) -> str | None:
        """What the page calls what it says when it is ready."""
        return None if self.said is None else self.path.strip("/")


CONTENTS = (
    Content("/autoplay", BLUE, (VIDEO_HZ, AUDIO_HZ), said=""),
    Content("/webgl", (0, 128, 255), said=""),
    Content("/synthesizer", (0, 128, 128), (SYNTHESIZER_HZ,), said=""),
    Content("/frame", (128, 0, 128), (AUDIO_HZ,), said=""),
    Content("/fullscreen", (0, 128, 0), said=""),
    Content("/downloads", (0, 0, 128), said=""),
    Content("/devices", (128, 0, 0), said="NotFoundError"),
    Content("/document.pdf#page=2", GREEN),
    Content("/clip.mp4", BLUE, (VIDEO_HZ,)),
    Content("/clip.webm", BLUE, (VIDEO_HZ,)),
    Content("/tone.mp3", BLACK, (AUDIO_HZ,)),
    Content("/picture.png", BLUE),
    Content("/document.pdf", RED),
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve_pages() as site, serve_pages("127.0.0.2") as stranger:
        for each in (site, stranger):
            for path in PAGES.glob("*.html"):
                page = path.read_text().replace("SITE", site.address)
                each.pages[f"/{path.stem}"] = page.replace("STRANGER", stranger.address)
            each.files |= files()
        yield site


@dataclass(frozen=True)
class Recorded:
    """Clips by path, and what the browser left on the disk."""

    clips: dict[str, Clip] = field(repr=False)
    left: set[bytes] = field(repr=False)


@pytest.fixture(scope="module")
def recorded(site: Site) -> Recorded:
    """All contents, one after the other."""
    paths = {content.path: content.name for content in CONTENTS}
    with serve_turn() as server:
        call = "/call?" + urlencode({"servers": json.dumps([server])})
        clips, left = clips_of(site, paths | {"/fonts": "fonts", call: "call"})
    return Recorded(clips | {CALL: clips[call]}, left)


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.path)
def test_content_is_seen_and_heard(recorded: Recorded, content: Content) -> None:
    clip = recorded.clips[content.path]
    assert clip.said == content.said
    picture = clip.picture[8:-8, 8:-8]  # without the frame of a document's page
    assert np.abs(picture.astype(int) - content.color).max() <= 12
    for tone_hz in (VIDEO_HZ, AUDIO_HZ, SYNTHESIZER_HZ):
        if tone_hz in content.tones_hz:
            assert clip.level(tone_hz) > HEARD
        else:
            assert clip.level(tone_hz) < UNHEARD


def test_nothing_is_downloaded(site: Site, recorded: Recorded) -> None:
    assert site.asked("/file.bin")
    assert DOWNLOAD not in recorded.left


def test_signs_of_all_kinds_are_drawn(recorded: Recorded) -> None:
    """Emoji in colour, everything else in black."""
    assert recorded.clips["/fonts"].said == ""
    picture = recorded.clips["/fonts"].picture.astype(int)
    assert (np.ptp(picture, axis=2) > 100).sum() > 500
    assert (picture.max(axis=2) < 60).sum() > 1000


def test_a_call_goes_through_the_proxy_where_udp_may_not(recorded: Recorded) -> None:
    clip = recorded.clips[CALL]
    assert np.abs(clip.picture.astype(int) - (0, 160, 0)).max() <= 16
    assert clip.level(CALL_HZ) > HEARD


def test_made_up_devices_are_given_without_a_question(site: Site) -> None:
    """Chromium's own camera is green; nothing else on the screen tells that it is in use."""
    settings = BrowserSettings(media_devices="fake")
    clips, _ = clips_of(site, {"/devices": "devices"}, browser=settings)
    assert clips["/devices"].said == "given"
    assert (clips["/devices"].picture[..., 1] > 100).all()


def test_a_page_calls_itself() -> None:
    """WebRTC from one end to the other, behind the filter for UDP."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "nft", "list", "ruleset"]).returncode != 0:
        unmet("only root may make network namespaces, and this needs nft(8)")
    subprocess.run(
        ["unshare", "--net", "--", sys.executable, TESTS / "call_near.py"],
        env=os.environ | {"PYTHONPATH": str(TESTS.parents[2])},
        check=True,
    )
