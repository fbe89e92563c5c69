"""How long a connection may be held open by who sends no whole request, and how many there may be."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from panoreel.dispatch.connections import REQUEST_TIMEOUT_S
from panoreel.signing.client import Credentials, Request, sign
from tests.servers.dispatch import Dispatch, run_dispatch
from tests.servers.nats import NatsServer

KEY = Credentials("app", "hunter2")
MAX_CONNECTIONS = 30
BODY = b'{"Action": "Describe", "Data": {"TaskID": "none"}}'


def request(path: str = "/record", more: str = "") -> bytes:
    """One that announces more of a body than follows."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n{more}\r\n".encode() + BODY[:9]


def signed() -> bytes:
    headers = sign(KEY, Request("POST", "/record", BODY), datetime.now(UTC))
    return request(more="".join(f"{name}: {value}\r\n" for name, value in headers.items()))


@pytest.fixture(params=[True, False], ids=["with keys", "without"])
async def dispatch(
    request: pytest.FixtureRequest, module_nats_server: NatsServer, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[Dispatch]:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [{"id": KEY.id, "secrets": [KEY.secret], "application": "a"}]}))
    settings = {"PANOREEL_MAX_CONNECTIONS": str(MAX_CONNECTIONS)}
    if request.param:
        settings["PANOREEL_KEY_FILE"] = str(keys)
    running = run_dispatch(
        module_nats_server.url, postgres_dsn, tmp_path, Fernet.generate_key().decode(), **settings
    )
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0
    assert "Traceback" not in running.log.read_text()


async def held(dispatch: Dispatch, first: bytes, then: bytes) -> tuple[int, float]:
    """Send `first`, and `then` a second after another; the answer's status, and after how many seconds."""
    url = httpx.URL(dispatch.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    began = time.monotonic()
    writer.write(first)

    async def go_on() -> None:
        while not reader.at_eof():
            await asyncio.sleep(1)
            writer.write(then)

    going_on = asyncio.create_task(go_on())
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S + 15):
            answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    finally:
        going_on.cancel()
        writer.close()
    return int(answer.split()[1]) if answer else 0, time.monotonic() - began


async def test_a_request_that_does_not_come_ends_its_connection(dispatch: Dispatch) -> None:
    keyed = httpx.post(f"{dispatch.url}/record", content=BODY).status_code == 401
    rows = [
        (b"", b"", 0),
        (b"\r\n", b"\r\n", 400),
        (b"POST /record HTTP/1.1\r\nHost", b"x", 0),
        (request(), b"", 401 if keyed else 408),
        (request(), b"x", 401 if keyed else 408),
        (signed(), b"", 408),
        (signed(), b"x", 408),
        (request("/healthz"), b"", 404),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 200),
    ]
    outcomes = await asyncio.gather(*(held(dispatch, first, then) for first, then, _ in rows))
    assert [status for status, _ in outcomes] == [status for _, _, status in rows]
    assert all(seconds < REQUEST_TIMEOUT_S + 10 for _, seconds in outcomes), outcomes


async def test_there_are_only_so_many_connections(dispatch: Dispatch) -> None:
    url = httpx.URL(dispatch.url)
    waiting = []
    for _ in range(MAX_CONNECTIONS - 1):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(signed())
        waiting.append(writer)
    async with httpx.AsyncClient() as http:
        refused = await http.get(f"{dispatch.url}/healthz")
        for writer in waiting:
            writer.close()
            await writer.wait_closed()
        assert refused.status_code == 503
        async with asyncio.timeout(20):
            while (await http.get(f"{dispatch.url}/healthz")).status_code != 200:
                await asyncio.sleep(0.05)
