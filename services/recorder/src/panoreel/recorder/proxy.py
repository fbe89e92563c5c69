"""The browser's way into the network: a SOCKS5 proxy (RFC 1928) that connects to permitted addresses alone.

It looks names up itself, and connects to the very address that it has checked.
"""

import asyncio
import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urlsplit

from panoreel.reach.addresses import Address, Networks
from panoreel.reach.resolution import HostNotFound, NotAllowed, Resolve, look_up, reachable

VERSION: Final = 5
NO_AUTHENTICATION: Final = 0
CONNECT: Final = 1
IPV4, NAME, IPV6 = 1, 3, 4

SUCCEEDED: Final = 0
GENERAL_FAILURE: Final = 1
COMMAND_NOT_SUPPORTED: Final = 7

CHUNK_BYTES: Final = 256 * 1024
HANDSHAKE_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 20.0
FALLBACK_S: Final = 2.0
"""How long an address may take when the host has another one to try."""

FAILURES_KEPT: Final = 1000

NOWHERE: Final = "http://127.0.0.1:1/"


def network_options(proxy_port: int, webrtc_udp: bool) -> list[str]:
    """What Chromium is started with: it reaches nothing but through the proxy, or by UDP if it may."""
    # All that Chromium would look up by itself are the names of WebRTC's servers.
    alone = [
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    # A page that may not know its own address names it so, and nobody else here could answer to the name.
    together = ["--host-resolver-rules=MAP *.local 127.0.0.1"]
    return [
        f"--proxy-server=socks5://127.0.0.1:{proxy_port}",
        "--proxy-bypass-list=<-loopback>",  # loopback is by no means to be reached without it
        # Of its own accord it asks its maker for components and accounts, whatever else is switched off.
        f"--component-updater=url-source={NOWHERE}",
        f"--gaia-url={NOWHERE}",
        *(together if webrtc_udp else alone),
    ]


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on loopback, for one browser."""

    def __init__(self, allowed: Networks, resolve: Resolve = look_up) -> None:
        self.port = 0
        self._allowed = allowed
        self._resolve = resolve
        self._failures: dict[tuple[str, int], str] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Break all connections."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def failure(self, url: str) -> str | None:
        """Why the last attempt to connect for an http or https URL failed; None if it did not fail.

        The name is the one that Chromium has for it: it only learns that the proxy could not connect.
        """
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return self._failures.get((parts.hostname or "", port))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # Whoever breaks off, or speaks something else, is not answered. Only `stop` cancels this, for which
        # asyncio would write a traceback.
        with (
            suppress(OSError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError),
            _closing(writer),
        ):
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            host, port = await _request(reader, writer)
        try:
            site, to_site = await self._connect(host, port)
        except (OSError, ValueError, HostNotFound, NotAllowed) as error:
            self._remember(host, port, _name(error))
            _answer(writer, GENERAL_FAILURE)
            return
        self._failures.pop((host, port), None)
        with _closing(to_site):
            _answer(writer, SUCCEEDED)
            answers = asyncio.create_task(_pass_answers(site, writer))
            try:
                await _copy(reader, to_site)
            finally:
                answers.cancel()

    async def _connect(self, host: str, port: int) -> Streams:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            addresses = await reachable(host, self._allowed, self._resolve)
            return await _first(addresses, port)

    def _remember(self, host: str, port: int, name: str) -> None:
        if len(self._failures) == FAILURES_KEPT:
            del self._failures[next(iter(self._failures))]
        self._failures[host, port] = name


async def _first(addresses: Sequence[Address], port: int) -> Streams:
    """A connection to the first address that takes it."""
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            async with asyncio.timeout(FALLBACK_S):
                return await asyncio.open_connection(str(address), port, limit=CHUNK_BYTES)
    return await asyncio.open_connection(str(last), port, limit=CHUNK_BYTES)


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Greet, and read where to connect to; raises `ValueError` for anything else than RFC 1928 §3-5."""
    version, methods = await reader.readexactly(2)
    if version != VERSION or NO_AUTHENTICATION not in await reader.readexactly(methods):
        raise ValueError("not SOCKS5, or without a method that we know")
    writer.write(bytes([VERSION, NO_AUTHENTICATION]))
    _, command, _, kind = await reader.readexactly(4)
    if kind == IPV4:
        host = str(IPv4Address(await reader.readexactly(4)))
    elif kind == IPV6:
        host = str(IPv6Address(await reader.readexactly(16)))
    elif kind == NAME:
        [length] = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode("ascii").lower()
    else:
        raise ValueError("an unknown kind of address")
    port = int.from_bytes(await reader.readexactly(2))
    if command != CONNECT:
        _answer(writer, COMMAND_NOT_SUPPORTED)
        await writer.drain()
        raise ValueError("only CONNECT is supported")
    return host, port


def _answer(writer: asyncio.StreamWriter, reply: int) -> None:
    """RFC 1928 §6; nobody asks for the address that we are bound to."""
    writer.write(bytes([VERSION, reply, 0, IPV4]) + bytes(6))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK_BYTES):
        sink.write(data)
        await sink.drain()


async def _pass_answers(site: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What the site sends, and how it ends; a browser that learns of the end closes its side."""
    try:
        await _copy(site, writer)
        writer.write_eof()
    except OSError:
        writer.transport.abort()


@contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close it behind what is still to be sent, or break it off when something went wrong."""
    try:
        yield
    except BaseException:
        writer.transport.abort()
        raise
    writer.close()


def _name(error: Exception) -> str:
    """Chromium's name for it (net/base/net_error_list.h)."""
    match error:
        case NotAllowed():
            return "ERR_NETWORK_ACCESS_DENIED"
        case HostNotFound():
            return "ERR_NAME_NOT_RESOLVED"
        case TimeoutError() | OSError(errno=errno.ETIMEDOUT):
            return "ERR_CONNECTION_TIMED_OUT"
        case ConnectionRefusedError():
            return "ERR_CONNECTION_REFUSED"
        case ConnectionResetError():
            return "ERR_CONNECTION_RESET"
        case OSError():
            return "ERR_ADDRESS_UNREACHABLE"
        case _:
            return "ERR_ADDRESS_INVALID"
