"""A TURN server over TCP (RFC 8656) that relays from one of its clients to another, and to nobody else."""

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from itertools import count

MAGIC = 0x2112A442.to_bytes(4)
ALLOCATE, REFRESH, BIND, SEND, DATA = 0x003, 0x004, 0x009, 0x016, 0x017
SUCCESS, FAILURE = 0x100, 0x110
USERNAME, INTEGRITY, ERROR, REALM, NONCE = 0x006, 0x008, 0x009, 0x014, 0x015
CHANNEL_NUMBER, LIFETIME, PEER, CONTENT, RELAYED, MAPPED = 0x00C, 0x00D, 0x012, 0x013, 0x016, 0x020

REALM_NAME, USER, PASSWORD = "realm", "anybody", "secret"
KEY = hashlib.md5(f"{USER}:{REALM_NAME}:{PASSWORD}".encode(), usedforsecurity=False).digest()

Attributes = dict[int, bytes]


class _Client:
    """One connection, which is one allocation."""

    def __init__(self, writer: asyncio.StreamWriter, number: int) -> None:
        self.writer = writer
        self.address = _xored(IPv4Address("198.51.100.0") + number, 50_000 + number)
        self.channels: dict[int, bytes] = {}

    def tell(self, kind: int, transaction: bytes, attributes: Attributes) -> None:
        body = b"".join(
            tag.to_bytes(2) + len(value).to_bytes(2) + _padded(value) for tag, value in attributes.items()
        )
        signed = kind.to_bytes(2) + (len(body) + 24).to_bytes(2) + MAGIC + transaction + body
        proof = hmac.digest(KEY, signed, "sha1")
        self.writer.write(signed + INTEGRITY.to_bytes(2) + len(proof).to_bytes(2) + proof)


class _Server:
    def __init__(self) -> None:
        self._clients: dict[bytes, _Client] = {}
        self._numbers = count(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer, next(self._numbers))
        self._clients[client.address] = client
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                kind, length = int.from_bytes(head[:2]), int.from_bytes(head[2:])
                if kind >= 0x4000:
                    content = (await reader.readexactly(length + -length % 4))[:length]
                    self._relay(client, client.channels[kind], content)
                else:
                    rest = await reader.readexactly(16 + length)
                    self._answer(client, kind, rest[4:16], _attributes(rest[16:]))
        writer.close()

    def _answer(self, client: _Client, kind: int, transaction: bytes, asked: Attributes) -> None:
        if kind == SEND:
            self._relay(client, asked[PEER], asked[CONTENT])
            return
        if USERNAME not in asked:
            unauthorized = {ERROR: b"\0\0\4\1", REALM: REALM_NAME.encode(), NONCE: b"nonce"}
            client.tell(kind | FAILURE, transaction, unauthorized)
            return
        if kind == BIND:
            client.channels[int.from_bytes(asked[CHANNEL_NUMBER][:2])] = asked[PEER]
        answer = {LIFETIME: (600).to_bytes(4)} if kind in (ALLOCATE, REFRESH) else {}
        if kind == ALLOCATE:
            answer |= {RELAYED: client.address, MAPPED: client.address}
        client.tell(kind | SUCCESS, transaction, answer)

    def _relay(self, sender: _Client, to: bytes, content: bytes) -> None:
        if receiver := self._clients.get(to):
            receiver.tell(DATA, bytes(12), {PEER: sender.address, CONTENT: content})


def _xored(host: IPv4Address, port: int) -> bytes:
    """RFC 8489 §14.2."""
    masked = bytes(a ^ b for a, b in zip(host.packed, MAGIC, strict=True))
    return b"\0\1" + (port ^ 0x2112).to_bytes(2) + masked


def _attributes(body: bytes) -> Attributes:
    found = {}
    while body:
        tag, length = int.from_bytes(body[:2]), int.from_bytes(body[2:4])
        found[tag] = body[4 : 4 + length]
        body = body[4 + length + -length % 4 :]
    return found


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


@contextmanager
def serve_turn() -> Iterator[dict[str, str]]:
    """The server as a page knows it (RTCIceServer of WebRTC 1.0)."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_Server().serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = server.sockets[0].getsockname()[1]
        yield {"urls": f"turn:127.0.0.1:{port}?transport=tcp", "username": USER, "credential": PASSWORD}
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()
