"""HLS as players meet it: followed while the page is recorded, and played afterwards."""

import io
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import av
import httpx
import pytest
from PIL import Image

from tests.e2e import media
from tests.e2e.panoreel import Panoreel
from tests.servers.pages import Site, serve_pages
from tests.servers.player import Player, players

KEY, IV = "21834cca41778803e1afba3f41e70c90", "000102030405060708090a0b0c0d0e0f"
FOLLOWED_AFTER_S, RECORDED_S = 10, 16
EVERY_S = 2


def test_encrypted_hls_and_what_lies_beside_it(panoreel: Panoreel, site: str, tmp_path: Path) -> None:
    with serve_pages() as keys, players() as player:
        keys.files["/key"] = bytes.fromhex(KEY)
        task = record_and_follow(panoreel, player, f"{site}/clock.html", keys)
        hls, mp4 = task["Result"]["Videos"]
        assert mp4["FileDuration"] == pytest.approx(hls["FileDuration"], abs=1)
        check_playlist(hls["FileURL"], keys)
        check_played(hls["FileURL"], player, keys)
        check_file(mp4["FileURL"], mp4["FileDuration"], player, tmp_path / "file.mp4")
    check_thumbnails(files(panoreel, task["TaskID"]), hls["FileDuration"])


def record_and_follow(panoreel: Panoreel, player: Player, url: str, keys: Site) -> dict[str, Any]:
    """Record, while a player follows from the tenth second on until the end; what became of the task."""
    video = {"Muxers": ["hls", "mp4"], "EncryptKey": KEY, "EncryptIv": IV, "AuthUrl": f"{keys.address}/key"}
    output = {"Video": video, "Thumbnails": {"Interval": EVERY_S}}
    task_id: str = panoreel.act("Start", RecordURL=url, Output=output)["TaskID"]
    panoreel.await_task(task_id, lambda task: task["Status"] == "recording")
    begin = time.monotonic()
    time.sleep(FOLLOWED_AFTER_S)
    panoreel.await_task(task_id, lambda task: "live" in files(panoreel, task_id))
    player.play(files(panoreel, task_id)["live"], rate=2)
    time.sleep(max(0, begin + RECORDED_S - time.monotonic()))
    panoreel.act("Stop", TaskID=task_id)
    task = panoreel.await_task(task_id, lambda task: task["Status"] == "finished")
    player.await_end()
    assert player.failure is None
    assert player.time_s == pytest.approx(task["Result"]["Videos"][0]["FileDuration"], abs=1)
    assert player.frames > 0
    return task


def files(panoreel: Panoreel, task_id: str) -> dict[str, str]:
    """The addresses of what lies beside the results."""
    told = panoreel.act("DescribeDetail", TaskID=task_id)["Result"]["Files"]
    return {file["Kind"]: file["FileURL"] for file in told}


def check_playlist(url: str, keys: Site) -> None:
    """RFC 8216, and that nothing in clear is stored."""
    lines = httpx.get(url).text.splitlines()
    names = [line for line in lines if not line.startswith("#")]
    lengths = [float(length) for length in re.findall(r"#EXTINF:([\d.]+),", "\n".join(lines))]
    [target] = [int(line.partition(":")[2]) for line in lines if line.startswith("#EXT-X-TARGETDURATION:")]
    assert (lines[0], lines[-1]) == ("#EXTM3U", "#EXT-X-ENDLIST")
    assert {"#EXT-X-VERSION:3", "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:VOD"} < set(lines)
    assert all(round(length) <= target for length in lengths)
    [key] = [line for line in lines if line.startswith("#EXT-X-KEY")]
    assert key == f'#EXT-X-KEY:METHOD=AES-128,URI="{keys.address}/key",IV=0x{IV}'
    assert lines.index(key) < lines.index(names[0])
    assert len(names) == len(lengths) >= 2
    for name in names:
        assert "/" not in name
        content = httpx.get(urljoin(url, name)).content
        assert len(content) % 16 == 0
        command = ["openssl", "enc", "-d", "-aes-128-cbc", "-K", KEY, "-iv", IV]
        opened = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout
        assert set(opened[::188]) == {0x47}
    assert KEY not in "\n".join(lines)


def check_played(url: str, player: Player, keys: Site) -> None:
    """With the key of the key server, by ffmpeg and by hls.js; with another one by neither."""
    for key, plays in ((KEY, True), (KEY[::-1], False)):
        keys.files["/key"] = bytes.fromhex(key)
        command = ["ffmpeg", "-v", "error", "-xerror", "-i", url, "-fps_mode", "vfr", "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0 and not done.stderr) == plays, done.stderr
        player.play(url, rate=4)
        player.await_end()
        assert (player.failure is None) == plays
        assert (player.frames > 0) == plays


def check_file(url: str, duration_s: float, player: Player, file: Path) -> None:
    """The MP4 beside it decodes without a complaint, and Chromium plays it, from anywhere."""
    file.write_bytes(httpx.get(url).content)
    assert media.decode_errors(file) == []
    player.play(url, rate=4)
    for share in (0.9, 0.1, 0.5):
        assert player.seek(share * duration_s) == pytest.approx(share * duration_s, abs=0.1)
    player.await_end()
    assert player.failure is None
    with av.open(str(file)) as container:
        exactly_s = (container.duration or 0) / av.time_base
    assert duration_s == pytest.approx(exactly_s, abs=0.51), "it is told in whole seconds"
    assert player.time_s == pytest.approx(exactly_s, abs=0.2)
    assert player.frames > 0


def check_thumbnails(found: dict[str, str], duration_s: float) -> None:
    """A poster, and for each cue a place on a sheet, until the recording's end."""
    poster = Image.open(io.BytesIO(httpx.get(found["poster"]).content))
    assert (poster.format, poster.size) == ("JPEG", (1280, 720))
    cues = httpx.get(found["sprites"]).text.split("\n\n")[1:]
    begins = [float(cue.partition(" ")[0][6:]) for cue in cues]
    assert begins == [EVERY_S * number for number in range(len(cues))]
    assert duration_s - 1 - EVERY_S <= begins[-1] <= duration_s + 1
    pictures = []
    for cue in cues:
        name, _, place = cue.splitlines()[1].partition("#xywh=")
        x, y, width, height = (int(value) for value in place.split(","))
        sheet = Image.open(io.BytesIO(httpx.get(urljoin(found["sprites"], name)).content))
        assert (x + width <= sheet.width, y + height <= sheet.height) == (True, True)
        pictures.append(sheet.crop((x, y, x + width, y + height)).tobytes())
    # The page shows another time on each.
    assert all(before != after for before, after in pairwise(pictures))
