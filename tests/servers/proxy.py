"""A TCP proxy that loses acknowledgements and delays requests, in front of a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

CHUNK = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One client's connection through the proxy."""

    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter

    def break_off(self) -> None:
        """Break the connection on both sides."""
        self.to_client.transport.abort()
        self.to_server.transport.abort()

    async def broken_off(self) -> None:
        """Wait until both sides are closed."""
        for writer in (self.to_client, self.to_server):
            with suppress(ConnectionError):
                await writer.wait_closed()


class LossyProxy:
    """Forwards connections to a NATS server on loopback, except as told."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.incidents = 0
        self._answer_bytes: int | None = None
        self._server_port = server_port
        self._links: set[Link] = set()
        self._lose: bytes | None = None
        self._hold: bytes | None = None
        self._held: tuple[Link, bytes] | None = None

    @property
    def url(self) -> str:
        """Where NATS clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    def lose_answer_to(self, request: bytes) -> None:
        """Deliver the next data that holds `request`, but swallow the answer and break the connection."""
        self._lose = request

    def hold_back(self, request: bytes) -> None:
        """Break the connection upon `request`, and deliver it only right before it is repeated."""
        self._hold = request

    def break_after(self, answer_bytes: int) -> None:
        """Break the connection once, after so many further bytes of answers; the rest gets lost."""
        self._answer_bytes = answer_bytes

    async def close(self) -> None:
        """Break every connection."""
        for link in self._links:
            link.break_off()
        await asyncio.gather(*(link.broken_off() for link in self._links))
        self._links.clear()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it."""
        server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        link = Link(client, to_client, server, to_server)
        self._links.add(link)
        answers = asyncio.create_task(self._answer(link))
        with suppress(ConnectionError):
            while data := await client.read(CHUNK):
                if self._lose and self._lose in data:
                    self._lose = None
                    await _end(answers)
                    to_server.write(data)
                    await server.read(CHUNK)
                    self.incidents += 1
                    break
                if self._hold and self._hold in data:
                    if self._held is None:
                        self._held = link, data
                        await _end(answers)
                        to_client.transport.abort()
                        return
                    await self._deliver_held()
                to_server.write(data)
                await to_server.drain()
        await _end(answers)
        link.break_off()

    async def _answer(self, link: Link) -> None:
        with suppress(ConnectionError):
            while data := await link.server.read(CHUNK):
                if self._answer_bytes is not None:
                    self._answer_bytes -= len(data)
                    if self._answer_bytes < 0:
                        self._answer_bytes = None
                        self.incidents += 1
                        break
                # Clients must not learn of servers that they could reach without the proxy.
                link.to_client.write(data.replace(b'"connect_urls"', b'"hidden__urls"'))
                await link.to_client.drain()
        link.to_client.transport.abort()

    async def _deliver_held(self) -> None:
        assert self._held
        link, data = self._held
        self._hold = self._held = None
        link.to_server.write(data)
        await link.server.read(CHUNK)
        self.incidents += 1


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@asynccontextmanager
async def lossy_proxy(server_port: int) -> AsyncIterator[LossyProxy]:
    """A proxy on a free port, for as long as the context lasts."""
    proxy = LossyProxy(server_port)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield proxy
        await proxy.close()
