"""The browser's way into the network, spoken to as a browser does; what is forbidden is 127.0.0.2."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from panoreel.reach.addresses import Address
from panoreel.reach.resolution import HostNotFound
from panoreel.recorder.proxy import Proxy
from tests.servers.ports import free_ports

ALLOWED = (IPv4Network("127.0.0.1/32"), IPv6Network("::1/128"))
REFUSED = bytes([5, 1, 0, 1]) + bytes(6)
CONNECTED = bytes([5, 0, 0, 1]) + bytes(6)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Names:
    """A name server whose answers change from one question to the next."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(self, _: str) -> Sequence[Address]:
        answer = self.answers.pop(0)
        if not answer:
            raise HostNotFound
        return [ip_address(address) for address in answer.split()]


@asynccontextmanager
async def proxy(*answers: str) -> AsyncIterator[tuple[Proxy, Names]]:
    names = Names(*answers)
    running = Proxy(ALLOWED, names.resolve)
    await running.start()
    try:
        yield running, names
    finally:
        await running.stop()


@asynccontextmanager
async def site(serve: Serve, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    async with await asyncio.start_server(serve, host, port) as server:
        yield server.sockets[0].getsockname()[1]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the address that was connected to, then with what comes."""
    writer.write(writer.get_extra_info("sockname")[0].encode() + b"\n")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def by_name(name: str, port: int, command: int = 1) -> bytes:
    return bytes([5, command, 0, 3, len(name)]) + name.encode() + port.to_bytes(2)


async def ask(port: int, request: bytes) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """Greet, send the request; the proxy's reply, and the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(bytes([5, 1, 0]) + request)
    assert await reader.readexactly(2) == bytes([5, 0])
    return await reader.readexactly(10), reader, writer


@pytest.mark.parametrize("answer", ["127.0.0.1", "127.0.0.2 127.0.0.1", "::1 127.0.0.1", "::ffff:127.0.0.1"])
async def test_the_first_permitted_address_that_answers(answer: str) -> None:
    async with site(echo) as port, proxy(answer) as (running, names):
        reply, reader, writer = await ask(running.port, by_name("Some.Test", port))
        assert reply == CONNECTED
        assert await reader.readline() == b"127.0.0.1\n"
        assert names.answers == []
        assert running.failure(f"http://some.test:{port}/") is None
        writer.close()


async def test_a_name_that_leads_elsewhere_the_next_time() -> None:
    """Each connection asks once, and goes to what was checked."""
    hits = 0

    async def forbidden(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hits
        hits += 1
        writer.close()

    async with (
        site(echo) as port,
        site(forbidden, "127.0.0.2", port),
        proxy("127.0.0.1", "127.0.0.2", "127.0.0.1") as (running, names),
    ):
        replies = []
        for _ in range(3):
            reply, _, writer = await ask(running.port, by_name("rebinding.test", port))
            replies.append(reply)
            writer.close()
        assert replies == [CONNECTED, REFUSED, CONNECTED]
        assert names.answers == []
    assert hits == 0


@pytest.mark.parametrize(
    ("host", "answer", "name"),
    [
        ("127.0.0.2", "", "ERR_NETWORK_ACCESS_DENIED"),
        ("0x7f.2", "", "ERR_NETWORK_ACCESS_DENIED"),
        ("::ffff:127.0.0.2", "", "ERR_NETWORK_ACCESS_DENIED"),
        ("private.test", "127.0.0.2", "ERR_NETWORK_ACCESS_DENIED"),
        ("missing.test", "", "ERR_NAME_NOT_RESOLVED"),
        ("closed.test", "127.0.0.1", "ERR_CONNECTION_REFUSED"),
        ("127.0.0.1", "", "ERR_CONNECTION_REFUSED"),
        ("1.2.3.4.5", "", "ERR_ADDRESS_INVALID"),
    ],
)
async def test_why_it_failed(host: str, answer: str, name: str) -> None:
    [port] = free_ports(1)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/x"
    async with proxy(answer) as (running, _):
        reply, reader, writer = await ask(running.port, by_name(host, port))
        assert reply == REFUSED
        assert await reader.read() == b""
        writer.close()
        assert running.failure(url) == name


@pytest.mark.parametrize(
    ("address", "reply"),
    [
        (bytes([1]) + socket.inet_aton("127.0.0.1"), CONNECTED),
        (bytes([1]) + socket.inet_aton("127.0.0.2"), REFUSED),
        (bytes([4]) + socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1"), CONNECTED),
        (bytes([4]) + socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.2"), REFUSED),
        (bytes([4]) + socket.inet_pton(socket.AF_INET6, "64:ff9b::7f00:1"), REFUSED),
    ],
)
async def test_by_address(address: bytes, reply: bytes) -> None:
    async with site(echo) as port, proxy() as (running, _):
        request = bytes([5, 1, 0]) + address + port.to_bytes(2)
        answered, _, writer = await ask(running.port, request)
        assert answered == reply
        writer.close()


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b""),
        (bytes([4, 1, 0, 80, 127, 0, 0, 1, 0]), b""),
        (bytes([5, 1, 2]), b""),
        (bytes([5, 1, 0]) + by_name("any.test", 80, command=2), bytes([5, 0, 5, 7, 0, 1]) + bytes(6)),
        (bytes([5, 1, 0]) + by_name("any.test", 80, command=3), bytes([5, 0, 5, 7, 0, 1]) + bytes(6)),
        (bytes([5, 1, 0, 5, 1, 0, 9]), bytes([5, 0])),
    ],
)
async def test_nothing_but_connect(request_: bytes, reply: bytes) -> None:
    async with proxy() as (running, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request_)
        assert await reader.read() == reply
        writer.close()


async def test_much_data_both_ways_and_the_end() -> None:
    sent = bytes(range(256)) * 40_000
    async with site(echo) as port, proxy("127.0.0.1") as (running, _):
        _, reader, writer = await ask(running.port, by_name("some.test", port))
        await reader.readline()

        async def send() -> None:
            writer.write(sent)
            await writer.drain()

        _, received = await asyncio.gather(send(), reader.readexactly(len(sent)))
        assert received == sent
        writer.close()


async def test_what_a_site_says_last_arrives() -> None:
    last_words = bytes(3_000_000)

    async def speak_and_close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(last_words)
        writer.close()

    async with site(speak_and_close) as port, proxy("127.0.0.1") as (running, _):
        _, reader, writer = await ask(running.port, by_name("some.test", port))
        assert await reader.read() == last_words
        writer.close()


async def test_a_broken_connection_breaks_on_the_other_side() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        linger_not = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        writer.transport.abort()

    async with site(break_off) as port, proxy("127.0.0.1") as (running, _):
        _, reader, writer = await ask(running.port, by_name("some.test", port))
        writer.write(b"x")
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


async def test_the_end_breaks_what_is_under_way() -> None:
    async with site(echo) as port, proxy("127.0.0.1") as (running, _):
        _, reader, writer = await ask(running.port, by_name("some.test", port))
        await reader.readline()
        await running.stop()
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


async def test_connections_that_are_broken_at_the_end_are_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with site(echo) as port, proxy() as (running, _):
        reply, reader, writer = await ask(running.port, by_name("127.0.0.1", port))
        assert reply == CONNECTED
        assert await reader.readline() == b"127.0.0.1\n"
        await running.stop()
        writer.close()
    assert not caplog.records
