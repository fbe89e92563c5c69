"""What the kernel lets the browser's user send, in a network namespace of the test's own."""

import json
import os
import pwd
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest

from panoreel.recorder.profile import WEBRTC_PORTS
from panoreel.recorder.udp import (
    UdpNotFiltered,
    browsers_alone_have_ports,
    may_send_udp,
    name_servers,
    rules,
)
from tests.servers.needs import unmet

SERVICE_USER = "panoreel"
TESTS = Path(__file__).parent
Target = tuple[str, str, int] | tuple[str, str, int, int]
"""Protocol, host, port, and perhaps the port to send from."""

UNSHARE = ["unshare", "--net", "--"]

ADDRESSES = {
    "1.2.3.4": True,  # public; each of these is an interface's address, or behind one
    "2606:4700::1111": True,
    "10.0.0.1": False,
    "192.168.7.1": False,
    "169.254.169.254": False,
    "100.64.0.1": False,
    "224.0.0.251": False,
    "127.0.0.1": False,
    "::1": False,
    "fd00::1": False,
    "fe80::1": False,
    "64:ff9b::a00:1": False,
    "9.9.9.1": False,  # public, but this machine's own
    "172.16.0.53": False,  # the name server, but another port
    "10.9.9.9": True,  # allowed
    "fd09::9": True,
}

SEND = """
import errno, json, os, socket, sys
uid, targets = int(sys.argv[1]), json.loads(sys.argv[2])
os.setgid(uid), os.setuid(uid)
sent = {}
for kind, host, port, *source in targets:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as sending:
        sending.settimeout(0.3)
        if source:
            sending.bind((host, *source))
        scope = (0, socket.if_nametoindex("outside")) if host.startswith("fe80") else ()
        target = " ".join(map(str, (kind, host, port, *source)))
        try:
            if kind == "udp":
                sending.sendto(b"x", (host, port, *scope))
            else:
                sending.connect((host, port))
            sent[target] = "sent"
        except OSError as error:
            sent[target] = errno.errorcode.get(error.errno, type(error).__name__)
print(json.dumps(sent))
"""

OUTSIDE = """
ip link set outside up
ip address add 9.9.9.1/24 dev outside
ip -6 address add 2620:fe::1/64 dev outside nodad
ip route add default via 9.9.9.2
ip -6 route add default via 2620:fe::2
"""

ALONE = f"""
set -e
ip link set lo up
ip link add outside type veth peer name far
ip link set far up
{OUTSIDE}
nft -f -
exec "$@"
"""

WIRED = f"""
set -e
ip link set lo up
ip link add outside type veth peer name far netns "$1"
shift
{OUTSIDE}
exec "$@"
"""


def may_unshare() -> bool:
    return os.geteuid() == 0 and subprocess.run([*UNSHARE, "nft", "list", "ruleset"]).returncode == 0


@pytest.fixture(scope="module")
def uid() -> int:
    if not may_unshare():
        unmet("only root may make network namespaces, and this needs nft(8)")
    return pwd.getpwnam(SERVICE_USER).pw_uid


def send(script: str, uid: int, targets: list[Target]) -> dict[str, str]:
    """What becomes of a datagram or connection to each target, sent by this user behind these rules."""
    sender = [sys.executable, "-c", SEND, str(uid), json.dumps(targets)]
    result = subprocess.run(
        [*UNSHARE, "sh", "-c", ALONE, "sh", *sender], input=script, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    answers: dict[str, str] = json.loads(result.stdout)
    return answers


def test_udp_reaches_public_addresses_alone(uid: int) -> None:
    script = rules(
        uid,
        (IPv4Network("10.9.9.0/24"), IPv6Network("fd09::/64")),
        [IPv4Address("172.16.0.53")],
    )
    targets: list[Target] = [*(("udp", host, 5000) for host in ADDRESSES), ("udp", "172.16.0.53", 53)]
    expected = {f"udp {host} 5000": "sent" if sent else "EPERM" for host, sent in ADDRESSES.items()}
    expected["udp 172.16.0.53 53"] = "sent"
    # Only from where browsers send may anything be sent to where they receive, and only to there.
    mine, other = WEBRTC_PORTS
    for host in ("127.0.0.1", "9.9.9.1"):
        targets.append(("udp", host, mine))
        expected[f"udp {host} {mine}"] = "EPERM"
    for port, answer in ((5000, "EPERM"), (other, "sent")):
        targets.append(("udp", "127.0.0.1", port, mine))
        expected[f"udp 127.0.0.1 {port} {mine}"] = answer
    assert send(script, uid, targets) == expected
    # The rules are for this user: everybody else, the proxy among them, sends as before.
    assert set(send(script, 0, targets).values()) == {"sent"}
    # They may be installed again and again.
    assert send(script + script, uid, targets) == expected


@pytest.mark.parametrize(
    ("outgoing", "calls"), [("32768\t60999\n", True), ("1024 65535", False), ("32768 61000", False)]
)
def test_a_page_calls_itself_where_nobody_else_has_its_ports(outgoing: str, calls: bool) -> None:
    assert browsers_alone_have_ports(outgoing) == calls
    assert ("127.0.0.1" in rules(1000, (), [], calls=calls)) == calls


def test_tcp_reaches_the_proxy_alone(uid: int) -> None:
    targets: list[Target] = [
        ("tcp", "127.0.0.1", 9),
        ("tcp", "10.0.0.1", 9),
        ("tcp", "1.2.3.4", 9),
        ("tcp", "fd00::1", 9),
    ]
    answers = send(rules(uid, (IPv4Network("10.0.0.0/8"),), []), uid, targets)
    assert answers.pop("tcp 127.0.0.1 9") == "ECONNREFUSED"  # let through: nobody listens
    assert set(answers.values()) == {"TimeoutError"}


def test_webrtc_reaches_public_addresses_alone(uid: int) -> None:
    """A real browser's STUN, from one namespace to another at the far end of a wire."""
    public, private = {"1.2.3.4", "2606:4700::1111"}, {"10.0.0.1", "192.168.7.1", "fd00::1"}
    hosts = sorted(public | private)
    far = subprocess.Popen(
        [*UNSHARE, sys.executable, TESTS / "webrtc_far.py", *hosts],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert far.stdout
    assert far.stdout.readline() == "ready\n"
    recording = [sys.executable, str(TESTS / "webrtc_near.py"), *hosts]
    near = [*UNSHARE, "sh", "-c", WIRED, "sh", str(far.pid), *recording]
    try:
        subprocess.run(near, env=os.environ | {"PYTHONPATH": str(TESTS.parents[2])}, check=True)
        heard, _ = far.communicate(timeout=10)
    finally:
        far.kill()
    assert set(heard.split()) == public


async def test_off_is_off() -> None:
    assert not await may_send_udp("off", SERVICE_USER, ())


@pytest.mark.parametrize("user", [None, "nobody-of-this-name"])
async def test_without_a_user_of_the_browsers_own(user: str | None) -> None:
    """Rules for the user that we run as would hold the recorder back, too."""
    assert not await may_send_udp("auto", user, ())
    with pytest.raises(UdpNotFiltered, match=r"user|root"):
        await may_send_udp("filtered", user, ())


def test_installed_at_the_start(uid: int) -> None:
    start = (
        "import asyncio; from panoreel.recorder.udp import may_send_udp; "
        f"assert asyncio.run(may_send_udp('filtered', {SERVICE_USER!r}, ()))"
    )
    listing = f"{sys.executable} -c {json.dumps(start)} && nft list table inet panoreel"
    result = subprocess.run([*UNSHARE, "sh", "-c", listing], capture_output=True, text=True, check=True)
    assert f"skuid {SERVICE_USER}" in result.stdout or f"skuid {uid}" in result.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 9.9.9.9\n# nameserver 8.8.8.8\nsearch example\nnameserver 2620:fe::fe%eth0\n", 2),
        ("nameserver\nnameserver nonsense\noptions ndots:2\n", 0),
        (None, 0),
    ],
)
def test_name_servers(text: str | None, expected: int, tmp_path: Path) -> None:
    settings = tmp_path / "resolv.conf"
    if text is not None:
        settings.write_text(text)
    assert len(name_servers(settings)) == expected
