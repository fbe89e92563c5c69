"""WebRTC's UDP does not go through the proxy: the kernel keeps it from addresses that are not public.

The rules are nftables' (nft(8)), for the service user that browsers run as. They stay when the recorder ends:
another recorder of this machine may rely on them, and all that they do is to hold this one user back. Whoever
starts last replaces them, so recorders that share a machine must share their allowed networks.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Final, Literal

import structlog

from panoreel.reach.addresses import NOT_PUBLIC_4, NOT_PUBLIC_6, PUBLIC_6, Address, Networks
from panoreel.recorder.errors import ServiceUserUnusable
from panoreel.recorder.privileges import ProgramUser
from panoreel.recorder.profile import WEBRTC_PORTS

NFT: Final = "/usr/sbin/nft"
RESOLVER_SETTINGS: Final = Path("/etc/resolv.conf")
OUTGOING_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")

WebrtcUdp = Literal["auto", "filtered", "off"]

_logger = structlog.get_logger()


class UdpNotFiltered(Exception):
    """The browser's UDP cannot be limited to public addresses here."""


async def may_send_udp(setting: WebrtcUdp, user: str | None, allowed: Networks) -> bool:
    """Whether browsers may send UDP, after limiting it to public and `allowed` addresses.

    Raises:
        UdpNotFiltered: it cannot be limited, and `setting` is "filtered".
    """
    if setting == "off":
        _logger.info("WebRTC over UDP is off, as set")
        return False
    try:
        calls = browsers_alone_have_ports(OUTGOING_PORTS.read_text())
        if not calls:
            _logger.warning("a page cannot call itself: others get ports of WebRTC's", ports=WEBRTC_PORTS)
        resolvers = name_servers(RESOLVER_SETTINGS)
        await _install(rules(_browser_uid(user), allowed, resolvers, calls=calls))
    except UdpNotFiltered as error:
        if setting == "filtered":
            raise
        _logger.warning("WebRTC over UDP is off: it cannot be limited to public addresses", reason=str(error))
        return False
    _logger.info("WebRTC over UDP is limited to public addresses")
    return True


def rules(uid: int, allowed: Networks, resolvers: Iterable[Address], *, calls: bool = True) -> str:
    """The table as nft(8) reads it: TCP to the proxy, name service, and UDP to public addresses.

    On this machine browsers reach nothing but browsers, with `calls`: a page may call itself.
    """
    ports = "{}-{}".format(*WEBRTC_PORTS)
    accepted = [f"ip daddr 127.0.0.1 udp sport {ports} udp dport {ports} accept"] if calls else []
    accepted += [f"{_destination(network)} meta l4proto udp accept" for network in allowed]
    accepted += [f"{_destination(resolver)} udp dport 53 accept" for resolver in resolvers]
    return f"""
    add table inet panoreel
    delete table inet panoreel
    table inet panoreel {{
        chain output {{
            type filter hook output priority filter; policy accept;
            meta skuid {uid} jump browser
        }}
        chain browser {{
            oifname "lo" meta l4proto tcp accept
            {"; ".join(accepted)}
            meta l4proto != udp drop
            fib daddr type != unicast drop
            ip daddr {_set(NOT_PUBLIC_4)} drop
            ip6 daddr != {PUBLIC_6} drop
            ip6 daddr {_set(NOT_PUBLIC_6)} drop
        }}
    }}
    """


def browsers_alone_have_ports(outgoing: str) -> bool:
    """Whether none of WebRTC's ports is given to others unasked: `outgoing` is ip_local_port_range, ip(7)."""
    first, last = map(int, outgoing.split())
    return last < WEBRTC_PORTS[0] or first > WEBRTC_PORTS[1]


def name_servers(settings: Path) -> list[Address]:
    """Those of resolv.conf(5): WebRTC looks names of STUN and TURN servers up by itself."""
    found = []
    with suppress(OSError):
        for line in settings.read_text(errors="replace").splitlines():
            match line.split():
                case ["nameserver", address, *_]:
                    with suppress(ValueError):
                        found.append(ip_address(address.partition("%")[0]))
    return found


def _browser_uid(user: str | None) -> int:
    try:
        browser = ProgramUser.choose(user)
    except ServiceUserUnusable as error:
        raise UdpNotFiltered(str(error)) from None
    if not browser.switch:
        raise UdpNotFiltered("only root may do so, for a service user that browsers run as")
    return browser.uid


async def _install(script: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            NFT, "-f", "-", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise UdpNotFiltered(f"{NFT}: {error.strerror}") from None
    _, complaint = await process.communicate(script.encode())
    if process.returncode != 0:
        first_line = complaint.decode(errors="replace").partition("\n")[0]
        raise UdpNotFiltered(f"nftables refused the rules: {first_line}")


def _destination(target: Address | IPv4Network | IPv6Network) -> str:
    return f"{'ip' if target.version == 4 else 'ip6'} daddr {target}"


def _set(networks: Sequence[IPv4Network | IPv6Network]) -> str:
    return f"{{ {', '.join(map(str, networks))} }}"
