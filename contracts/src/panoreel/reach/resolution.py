"""The addresses of a host that may be connected to. Whoever connects, connects to one of these: a name that
is looked up again may lead elsewhere meanwhile.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from panoreel.reach.addresses import Address, Networks, is_permitted, parse_host

Resolve = Callable[[str], Awaitable[Sequence[Address]]]
"""Looks a name up; raises `HostNotFound`."""

LOOK_UPS: Final = 64
"""As many names are looked up at once, each in a thread; others wait."""


class HostNotFound(Exception):
    """The host was not found."""


class NotAllowed(Exception):
    """The host has no public address."""


async def look_up(name: str) -> Sequence[Address]:
    """All addresses of a name, as the system orders them (RFC 6724); raises `HostNotFound`.

    getaddrinfo(3) may take long: it runs in a thread for which nothing else waits, nor the process's end.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def tell(found: list[Address]) -> None:
        if not answer.done():
            answer.set_result(found)

    def work() -> None:
        if answer.cancelled():  # nobody waits any more
            return
        found = _getaddrinfo(name)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, found)

    _threads.run(work)
    found = await answer
    if not found:
        raise HostNotFound(HostNotFound.__doc__)
    return found


class _Threads:
    """At most `LOOK_UPS` threads, which end when nothing is left to do; daemons, unlike an executor's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0

    def run(self, work: Callable[[], None]) -> None:
        """Run it soon, or once a thread is free."""
        with self._lock:
            self._waiting.append(work)
            if self._running < LOOK_UPS:
                threading.Thread(target=self._work, daemon=True, name="look up").start()
                self._running += 1

    def _work(self) -> None:
        while work := self._next():
            work()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None


_threads: Final = _Threads()


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
    except (OSError, ValueError):  # of the latter kind: no name that can be asked for
        return []
    return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
