"""The addresses of a host that may be connected to. Whoever connects, connects to one of these: a name that
is looked up again may lead elsewhere meanwhile.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from panoreel.reach.addresses import Address, Networks, is_permitted, parse_host

Resolve = Callable[[str], Awaitable[Sequence[Address]]]
"""Looks a name up; raises `HostNotFound`."""


class HostNotFound(Exception):
    """The host was not found."""


class NotAllowed(Exception):
    """The host has no public address."""


async def look_up(name: str) -> Sequence[Address]:
    """All addresses of a name, as the system orders them (RFC 6724); raises `HostNotFound`.

    A thread of its own for each: getaddrinfo(3) may take long, and nothing else, nor the end, waits for it.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def tell(found: list[Address]) -> None:
        if not answer.done():
            answer.set_result(found)

    def work() -> None:
        found = _getaddrinfo(name)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=work, daemon=True, name="look up").start()
    found = await answer
    if not found:
        raise HostNotFound(HostNotFound.__doc__)
    return found


async def reachable(host: str, allowed: Networks, resolve: Resolve = look_up) -> list[Address]:
    """The addresses of `host`, in the order in which to try them; IPv6 addresses may be in brackets.

    Raises:
        ValueError: no browser accepts such a host.
        HostNotFound: the name has no address.
        NotAllowed: it has none that is public or in `allowed`.
    """
    parsed = parse_host(f"[{host}]" if ":" in host and not host.startswith("[") else host)
    addresses = [parsed] if not isinstance(parsed, str) else await _addresses(parsed, resolve)
    permitted = [address for address in addresses if is_permitted(address, allowed)]
    if not permitted:
        raise NotAllowed(NotAllowed.__doc__)
    return permitted


async def _addresses(name: str, resolve: Resolve) -> Sequence[Address]:
    labels = name.removesuffix(".").split(".")
    if labels[-1] == "localhost":  # always loopback, and never asked of a name server (RFC 6761 §6.3)
        return (IPv4Address("127.0.0.1"), IPv6Address("::1"))
    return await resolve(name)


def _getaddrinfo(name: str) -> list[Address]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
