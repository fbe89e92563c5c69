"""Delivering a callback to receivers of every kind."""

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from pathlib import Path

import pytest
import structlog

from panoreel.contracts.events import CallbackDelivered, CallbackFailed
from panoreel.notifier import callback
from panoreel.notifier.callback import Message, Reach, deliver
from panoreel.reach.addresses import Address
from services.notifier.tests.receivers import SILENCE, Receiver, status
from tests.servers.dns import serve_names
from tests.servers.tls import self_signed_certificate

Receive = Callable[..., Awaitable[Receiver]]

LOOPBACK = Reach((IPv4Network("127.0.0.1/32"), IPv6Network("::1/128")))
MESSAGE = Message(id="msg_7a035551", body=b'{"TaskID":"7a03-5551","Status":"callback"}')


@pytest.fixture
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For receivers that fail alike each time; the pauses between attempts take real time."""
    monkeypatch.setattr(callback, "ATTEMPTS", 2)


async def test_acknowledged_at_once(receive: Receive) -> None:
    receiver = await receive(status(200))
    assert await deliver(MESSAGE, receiver.url, LOOPBACK) == CallbackDelivered(attempts=1)
    [request] = receiver.received
    assert request.line == "POST /told?token=s3cr3t HTTP/1.1"
    assert request.body == MESSAGE.body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Panoreel/0")
    assert request.headers["webhook-id"] == "msg_7a035551"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 30
    assert "webhook-signature" not in request.headers


async def test_repeated_until_acknowledged(receive: Receive) -> None:
    receiver = await receive(status(500), status(503, "Retry-After: 60"), status(204))
    assert await deliver(MESSAGE, receiver.url, LOOPBACK) == CallbackDelivered(attempts=3)
    first, second, third = receiver.received
    assert first.body == second.body == third.body
    assert {request.headers["webhook-id"] for request in receiver.received} == {"msg_7a035551"}
    timestamps = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert timestamps == sorted(set(timestamps))
    assert 0.9 < second.at - first.at < 30
    assert 0.9 < third.at - second.at < 30, "whatever it was asked to wait"


async def test_silent_receiver(receive: Receive) -> None:
    receiver = await receive(SILENCE)
    began = time.monotonic()
    outcome = await deliver(MESSAGE, receiver.url, LOOPBACK)
    assert outcome == CallbackFailed(attempts=5, last_error="timeout of 2000ms exceeded")
    assert len(receiver.received) == 5
    assert time.monotonic() - began > 5 * 2 + 4 * 1 - 1


async def test_trickling_receiver_does_not_stretch_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte would begin a new time limit, if that were counted for each read."""
    monkeypatch.setattr(callback, "ATTEMPTS", 1)

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for byte in status(200):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.3)
        except ConnectionError:
            pass  # the client has had enough
        finally:
            writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        outcome = await deliver(MESSAGE, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", LOOPBACK)
    assert outcome == CallbackFailed(attempts=1, last_error="timeout of 2000ms exceeded")


async def test_body_is_not_waited_for(receive: Receive) -> None:
    receiver = await receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nslow")
    assert await deliver(MESSAGE, receiver.url, LOOPBACK) == CallbackDelivered(attempts=1)


async def test_redirects_are_not_followed(receive: Receive, few_attempts: None) -> None:
    elsewhere = await receive(status(200))
    receiver = await receive(status(302, f"Location: {elsewhere.url}"))
    assert await deliver(MESSAGE, receiver.url, LOOPBACK) == CallbackFailed(attempts=2, last_error="HTTP 302")
    assert elsewhere.received == []


async def test_gone_ends_the_attempts(receive: Receive) -> None:
    receiver = await receive(status(410))
    assert await deliver(MESSAGE, receiver.url, LOOPBACK) == CallbackFailed(attempts=1, last_error="HTTP 410")
    assert len(receiver.received) == 1


async def test_refused_connection(few_attempts: None) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        outcome = await deliver(MESSAGE, f"http://127.0.0.1:{port}/told?token=s3cr3t", LOOPBACK)
    assert outcome == CallbackFailed(attempts=2, last_error="connection refused")


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 2000 No\r\n\r\n"])
async def test_something_else_than_http(receive: Receive, answer: bytes) -> None:
    receiver = await receive(answer, status(200))
    assert await deliver(MESSAGE, receiver.url, LOOPBACK) == CallbackDelivered(attempts=2)


async def test_plain_http_where_tls_is_expected(few_attempts: None) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(status(400))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        outcome = await deliver(MESSAGE, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", LOOPBACK)
    assert outcome == CallbackFailed(attempts=2, last_error="TLS handshake failed")


async def test_certificate_of_an_unknown_authority(few_attempts: None, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed_certificate(tmp_path))

    async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0, ssl=context) as server:
        outcome = await deliver(MESSAGE, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", LOOPBACK)
    assert outcome == CallbackFailed(
        attempts=2, last_error="TLS certificate refused: self-signed certificate"
    )


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/s3cr3t", "file:///s3cr3t", "http://", "http://[::1/s3cr3t", "http://xn--/s3cr3t"],
)
async def test_other_urls_are_not_tried(url: str) -> None:
    assert await deliver(MESSAGE, url, LOOPBACK) == CallbackFailed(
        attempts=1, last_error="the URL is invalid"
    )


@pytest.mark.parametrize("host", ["127.0.0.2", "0x7f.2", "[::ffff:127.0.0.2]", "no.test"])
async def test_what_is_not_public_is_not_even_tried(host: str) -> None:
    async def resolve(_: str) -> Sequence[Address]:
        return (IPv4Address("127.0.0.2"),)

    connections = []
    async with await asyncio.start_server(lambda *_: connections.append(1), "127.0.0.2", 0) as server:
        url = f"http://{host}:{server.sockets[0].getsockname()[1]}/s3cr3t"
        outcome = await deliver(MESSAGE, url, Reach(LOOPBACK.allowed, resolve))
    assert outcome == CallbackFailed(attempts=1, last_error="the URL leads to an address that is not public")
    assert connections == []


async def test_a_name_is_looked_up_once_and_checked_in_each_attempt(receive: Receive) -> None:
    """Whoever answers for the name says something else each time."""
    answers = [("::1", "127.0.0.1"), ("127.0.0.2", "127.0.0.1"), ("127.0.0.2",)]

    async def resolve(name: str) -> Sequence[Address]:
        assert name == "xn--bcher-kva.test"
        return tuple(map(ip_address, answers.pop(0)))

    receiver = await receive(status(500), status(500), status(200))
    url = f"http://user:pass@bücher.test:{receiver.port}/told"
    outcome = await deliver(MESSAGE, url, Reach(LOOPBACK.allowed, resolve))
    assert outcome == CallbackFailed(attempts=3, last_error="the URL leads to an address that is not public")
    assert answers == []
    assert {request.headers["host"] for request in receiver.received} == {
        f"xn--bcher-kva.test:{receiver.port}"
    }
    assert receiver.received[0].headers["authorization"].startswith("Basic ")


ASK = """
import asyncio, json, sys
from ipaddress import ip_network
from panoreel.notifier.callback import Message, Reach, deliver
allowed = (ip_network("127.0.0.1/32"), ip_network("::1/128"))
told = [asyncio.run(deliver(Message(id="msg_1", body=b"{}"), url, Reach(allowed))) for url in sys.argv[1:]]
print(json.dumps([[outcome.attempts, getattr(outcome, "last_error", "")] for outcome in told]))
"""


async def test_names_of_a_name_server(receive: Receive, tmp_path: Path) -> None:
    """What it answers leads to 127.0.0.2 sooner or later; nothing arrives there."""
    connections = []
    receiver = await receive(status(200), status(200), status(500))
    with serve_names(tmp_path) as server:
        server.names = {
            "both.test": ["127.0.0.2 127.0.0.1"],
            "turning.test": ["127.0.0.1", "127.0.0.1", "127.0.0.2"],
            "alias.test": ["CNAME localhost 127.0.0.2"],
            "mapped.test": ["::ffff:127.0.0.2"],
        }
        names = ["both.test", "turning.test", "turning.test", "alias.test", "mapped.test"]
        urls = [f"http://{name}:{receiver.port}/told" for name in names]
        command = [*server.within, sys.executable, "-c", ASK, *urls]
        async with await asyncio.start_server(lambda *_: connections.append(1), "127.0.0.2", receiver.port):
            telling = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            told, _ = await telling.communicate()
        assert server.asked == ["both.test", *["turning.test"] * 3, "alias.test", "mapped.test"]
    refused = "the URL leads to an address that is not public"
    outcomes = [[1, ""], [1, ""], [2, refused], [1, refused], [1, refused]]
    assert json.loads(told.splitlines()[-1]) == outcomes
    assert connections == []


@pytest.fixture
def unanswered() -> Iterator[tuple[str, int]]:
    """Where nobody takes a connection: as many as fit already wait there."""
    with socket.create_server(("127.0.0.3", 0), backlog=0) as full, ExitStack() as waiting:
        while True:
            client = waiting.enter_context(socket.socket())
            client.settimeout(0.1)
            try:
                client.connect(full.getsockname())
            except TimeoutError:
                break
        yield full.getsockname()


async def test_an_address_that_never_answers_leaves_time_for_the_next(unanswered: tuple[str, int]) -> None:
    silent, port = unanswered

    async def resolve(_: str) -> Sequence[Address]:
        return (ip_address(silent), IPv4Address("127.0.0.1"))

    receiver = Receiver([status(200)])
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", port):
        reach = Reach((IPv4Network("127.0.0.0/8"),), resolve)
        outcome = await deliver(MESSAGE, f"http://some.test:{port}/told", reach)
    assert outcome == CallbackDelivered(attempts=1)
    assert len(receiver.received) == 1


async def test_no_log_line_holds_the_url(receive: Receive) -> None:
    receiver = await receive(status(500), b"SSH-2.0-OpenSSH\r\n\r\n", status(200))
    with structlog.testing.capture_logs() as lines:
        await deliver(MESSAGE, receiver.url, LOOPBACK)
    assert len(lines) == 2
    assert "HTTP 500" in str(lines)
    assert "s3cr3t" not in str(lines)
    assert str(receiver.port) not in str(lines)
