"""Clients that cost so little that what they measure is the server: bytes over connections that stay open."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Self

from panoreel.signing.client import Credentials, Request, sign

_HEAD = b"POST /record HTTP/1.1\r\nHost: bench\r\n%b\r\nContent-Length: %d\r\n\r\n"
_LENGTH = b"\r\ncontent-length: "


@dataclass(frozen=True, slots=True)
class Figures:
    """How many requests, in all and a second, and how long they took, in milliseconds."""

    requests: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, times_s: list[float], elapsed_s: float) -> Self:
        """Of the times that all requests took, side by side, in so many seconds."""
        ordered = sorted(times_s)
        return cls(
            len(ordered),
            round(len(ordered) / elapsed_s, 1),
            round(median(ordered) * 1000, 2),
            round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
        )

    @classmethod
    def median(cls, rounds: list["Figures"]) -> Self:
        """The median of each figure."""
        return cls(
            *(median(getattr(figures, name) for figures in rounds) for name in cls.__dataclass_fields__)
        )


class Client:
    """One connection to an HTTP server on loopback, which answers with a `Content-Length`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Open the connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> bytes:
        """Send a request as it is; the body of the answer, which must be a 200."""
        self._writer.write(request)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        length = answer.lower().split(_LENGTH, 1)[1].split(b"\r\n", 1)[0]
        return await self._reader.readexactly(int(length))

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


def action(name: str, credentials: Credentials | None = None, **data: Any) -> bytes:
    """A request for an action as it goes over the wire, signed if there are credentials."""
    body = json.dumps({"Action": name, "Data": data}).encode()
    headers = {"Content-Type": "application/json"}
    if credentials:
        headers = sign(credentials, Request("POST", "http://bench/record", body, headers), datetime.now(UTC))
    lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
    return _HEAD % (lines.encode(), len(body)) + body


async def load(
    port: int, clients: int, duration_s: float, request: Callable[[], bytes], valid: Callable[[bytes], bool]
) -> Figures:
    """Ask for `duration_s`, each client as soon as it has its answer, which must be valid."""
    times_s: list[float] = []
    connections = [await Client.connect(port) for _ in range(clients)]
    began = time.perf_counter()

    async def ask(client: Client) -> None:
        while time.perf_counter() < began + duration_s:
            wire = request()
            sent = time.perf_counter()
            answer = await client.send(wire)
            times_s.append(time.perf_counter() - sent)
            assert valid(answer), answer

    await asyncio.gather(*(ask(client) for client in connections))
    elapsed_s = time.perf_counter() - began
    for client in connections:
        client.close()
    return Figures.of(times_s, elapsed_s)


def alternating(rounds: int, *names: str) -> Iterator[str]:
    """Each name in turn, so many times, forwards and backwards: drift of the machine hits all alike."""
    for number in range(rounds):
        yield from names if number % 2 == 0 else reversed(names)
