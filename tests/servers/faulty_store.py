"""An object store as it is on bad days: an HTTP proxy on loopback in front of a real one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK = 8192
TICK_S = CHUNK / 200_000
"""What 200 kB/s take for a chunk."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived, without its body."""

    method: str
    target: str
    headers: dict[str, str]


Refuse = Callable[[Request], bytes | None]
"""What is answered instead of the store's answer; empty: the connection is broken off."""


def refusal(status: str, code: str, message: str = "so it is") -> bytes:
    """An answer as S3 gives them."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def cos_refuses(request: Request) -> bytes | None:
    """Refuse what Tencent Cloud COS would, where the interface of S3 leaves more open."""
    if request.method in ("PUT", "POST") and "content-length" not in request.headers:
        return refusal("411 Length Required", "MissingContentLength")
    if "aws-chunked" in request.headers.get("content-encoding", ""):
        return refusal("411 Length Required", "MissingContentLength")
    if request.target.endswith("?delete") and "content-md5" not in request.headers:
        return refusal("400 Bad Request", "InvalidRequest", "Content-MD5 is missing")
    return None


@dataclass
class FaultyStore:
    """Forwards to the store `upstream`, but for what `refuse` answers itself.

    What has `slow` in its address it takes at 200 kB/s, and answers once `hold` is set, if there is one.
    While it is `away`, connections are broken off. The answer to a request that it `loses` never comes,
    although the store has done what was asked.
    """

    upstream: str
    refuse: Refuse = cos_refuses
    loses: Callable[[Request], bool] = lambda request: False
    slow: str | None = None
    hold: asyncio.Event | None = None
    away: bool = False
    endpoint: str = ""
    requests: list[Request] = field(default_factory=list)

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if not self.away:
                await self._answer(client, to_client)
        to_client.close()

    async def _answer(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        head = (await client.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        method, target, _ = first.split(" ")
        if headers.pop("expect", None):
            to_client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        is_slow = self.slow is not None and self.slow in target
        body = await _body(client, int(headers.get("content-length", 0)), is_slow)
        if is_slow and self.hold:
            await self.hold.wait()
        request = Request(method, target, headers)
        self.requests.append(request)
        answer = self.refuse(request)
        if answer is None:
            answer = await self._forward(first, headers | {"connection": "close"}, body)
            if self.loses(request):
                return
        to_client.write(answer)
        await to_client.drain()

    async def _forward(self, first: str, headers: dict[str, str], body: bytes) -> bytes:
        parts = urlsplit(self.upstream)
        server, to_server = await asyncio.open_connection(parts.hostname, parts.port)
        lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        to_server.write("\r\n".join(lines).encode("latin-1") + body)
        try:
            return await server.read()
        finally:
            to_server.close()


async def _body(client: asyncio.StreamReader, length: int, is_slow: bool) -> bytes:
    body = b""
    while len(body) < length:
        body += await client.readexactly(min(CHUNK, length - len(body)))
        if is_slow:
            await asyncio.sleep(TICK_S)
    return body


@asynccontextmanager
async def faulty_store(upstream: str) -> AsyncIterator[FaultyStore]:
    """A proxy on a free port, for as long as the context lasts."""
    store = FaultyStore(upstream)
    listener = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    store.endpoint = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield store
