"""HTTP servers that answer callbacks as they are told."""

import asyncio
from dataclasses import dataclass, field

SILENCE = b""


def status(code: int, *headers: str) -> bytes:
    """An answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers, "", ""]).encode()


@dataclass
class Received:
    """One request as it came in; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """An HTTP server on loopback. It gives `answers` in turn and repeats the last."""

    answers: list[bytes]
    port: int = 0
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told?token=s3cr3t"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode().rstrip().split("\r\n")
                headers = {name.lower(): value for name, value in (pair.split(": ", 1) for pair in fields)}
                body = await reader.readexactly(int(headers["content-length"]))
                now = asyncio.get_running_loop().time()
                answer = self.answers[min(len(self.received), len(self.answers) - 1)]
                self.received.append(Received(line, headers, body, now))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            writer.close()
