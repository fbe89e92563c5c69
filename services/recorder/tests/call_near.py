"""Run in a network namespace of its own: a recording whose page calls itself, when no address is allowed."""

import asyncio
import subprocess
from pathlib import Path

import numpy as np

from panoreel.recorder.udp import may_send_udp
from tests.servers.child import SERVICE_USER
from tests.servers.clips import clips_of
from tests.servers.pages import serve_pages

PAGE = Path(__file__).parent / "pages" / "content" / "call.html"
CALL_HZ = 400

OUTSIDE = """set -e
ip link set lo up
ip link add outside type veth peer name far
ip link set far up
ip link set outside up
ip address add 10.0.0.1/24 dev outside
ip route add default via 10.0.0.2
"""


def main() -> None:
    """Record a call; it is seen and heard at the other end."""
    subprocess.run(["sh", "-c", OUTSIDE], check=True)
    assert asyncio.run(may_send_udp("filtered", SERVICE_USER, ()))
    with serve_pages() as site:
        site.pages["/call"] = PAGE.read_text()
        clips, _ = clips_of(site, {"/call": "call"}, stage={"webrtc_udp": True})
    clip = clips["/call"]
    assert np.abs(clip.picture.astype(int) - (0, 160, 0)).max() <= 16
    assert clip.level(CALL_HZ) > 0.1


if __name__ == "__main__":
    main()
