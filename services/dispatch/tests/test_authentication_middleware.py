"""The middleware on a real server: what reaches the application, and what a refused client is told."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI, Request
from starlette.types import Message, Scope

from panoreel.dispatch.authentication.keyfile import KeyFile
from panoreel.dispatch.authentication.middleware import (
    MAX_BODY_BYTES,
    AuthenticationMiddleware,
    AuthenticationOptions,
)
from panoreel.dispatch.worker import ApiServer
from panoreel.signing import client
from panoreel.signing.client import Credentials

KEYS = {
    "keys": [
        {"id": "app", "secrets": ["hunter2"], "application": "school-1", "admin": True},
        {"id": "pair", "secrets": ["hunter3"], "application": "school-2", "kind": "key_pair"},
    ]
}
APP = Credentials("app", "hunter2")
DEFAULT = AuthenticationOptions()


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(KEYS))
    path.chmod(0o600)
    return KeyFile(path)


def application() -> FastAPI:
    api = FastAPI()

    @api.post("/record")
    @api.post("/release/record")
    async def record(request: Request) -> dict[str, object]:
        key = request.state.key
        return {"application": key.application, "admin": key.admin, "length": len(await request.body())}

    @api.get("/healthz")
    async def health(request: Request) -> dict[str, bool]:
        return {"authenticated": hasattr(request.state, "key")}

    return api


@asynccontextmanager
async def served(
    key_file: KeyFile, options: AuthenticationOptions = DEFAULT
) -> AsyncIterator[httpx.AsyncClient]:
    started = asyncio.Event()
    config = uvicorn.Config(
        AuthenticationMiddleware(application(), key_file, options),
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = ApiServer(config, started.set)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await asyncio.wait_for(started.wait(), 30)
        try:
            async with httpx.AsyncClient(base_url=url) as http:
                yield http
        finally:
            server.should_exit = True
            await serving


def signed(http: httpx.AsyncClient, path: str, body: bytes, credentials: Credentials = APP) -> httpx.Request:
    headers = client.sign(credentials, client.Request("POST", path, body), datetime.now(UTC))
    return http.build_request("POST", path, content=body, headers=headers)


def assert_refused(answer: httpx.Response, status: int, message: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Api-RequestId"])
    assert answer.text == json.dumps({"message": message}, separators=(",", ":")) + "\n"


async def test_a_signed_request_reaches_the_application_with_its_body(key_file: KeyFile) -> None:
    async with served(key_file) as http:
        for body in (b"{}", b"", b"x" * MAX_BODY_BYTES, '{"a":"课堂"}'.encode()):
            answer = await http.send(signed(http, "/record", body))
            assert answer.json() == {"application": "school-1", "admin": True, "length": len(body)}
        headers = client.sign_key_pair(Credentials("pair", "hunter3"), {}, datetime.now(UTC))
        answer = await http.post("/record", content=b"{}", headers=headers)
        assert answer.json() == {"application": "school-2", "admin": False, "length": 2}


async def test_a_body_that_comes_in_pieces(key_file: KeyFile) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    async with served(key_file) as http:
        headers = signed(http, "/record", b"x" * 8000).headers
        del headers["Content-Length"]
        answer = await http.post("/record", content=pieces(), headers=headers)
        assert answer.json()["length"] == 8000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/record"),
        ("GET", "/tasks/1/events"),
        ("GET", "/healthz/"),
        ("GET", "/healthz/x"),
        ("GET", "//healthz"),
        ("GET", "/none"),
        ("OPTIONS", "/record"),
    ],
)
async def test_what_is_not_signed_is_refused(key_file: KeyFile, method: str, path: str) -> None:
    async with served(key_file) as http:
        answer = await http.request(method, f"{http.base_url}{path}")
    message = "HMAC signature cannot be verified, a validate authorization header is required"
    assert_refused(answer, 401, message)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (("hmac id", "Basic id"), "HMAC authorization format error"),
        (('id="app"', 'id="nobody"'), "HMAC signature cannot be verified"),
        (
            ("X-Date: ", "X-Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nOther: "),
            "HMAC signature cannot be verified, the x-date header is out of date for HMAC Authentication",
        ),
    ],
)
async def test_who_cannot_have_signed_is_refused_before_the_body_comes(
    key_file: KeyFile, spoil: tuple[str, str], message: str
) -> None:
    async with served(key_file) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        headers = client.sign(APP, client.Request("POST", "/record", b"{}"), datetime.now(UTC))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole = f"POST /record HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{head}\r\n"
        writer.write(whole.replace(*spoil).encode())
        async with asyncio.timeout(20):
            answer = await reader.readuntil(b"}\n")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"message": message}


async def test_public_paths_need_no_signature(key_file: KeyFile) -> None:
    async with served(key_file) as http:
        assert (await http.get("/healthz")).json() == {"authenticated": False}
        assert (await http.get("/openapi.json")).status_code == 200
        assert (await http.get("/docs")).status_code == 200
        assert (await http.get("/readyz")).status_code == 404


async def test_a_wrong_signature_is_logged_without_secrets(key_file: KeyFile) -> None:
    async with served(key_file) as http:
        with structlog.testing.capture_logs() as logs:
            answer = await http.send(signed(http, "/record", b"{}", Credentials("app", "guess")))
    assert_refused(answer, 401, "HMAC signature does not match")
    assert "X-Server-String-To-Sign" not in answer.headers
    (entry,) = logs
    assert entry["request_id"] == answer.headers["X-Api-RequestId"]
    assert "hunter" not in str(entry)


async def test_a_body_too_large(key_file: KeyFile) -> None:
    async with served(key_file) as http:
        answer = await http.send(signed(http, "/record", b"x" * (MAX_BODY_BYTES + 1)))
        assert_refused(answer, 413, "the body is longer than 524288 bytes")
        answer = await http.send(signed(http, "/record", b"{}"))
        assert answer.status_code == 200


async def test_the_string_to_sign_is_shown_on_request(key_file: KeyFile) -> None:
    async with served(key_file, AuthenticationOptions(show_string_to_sign=True)) as http:
        wrong = signed(http, "/record?a=%0D%0AX:%20y%E8", b"", Credentials("app", "guess"))
        answer = await http.send(wrong)
        date = wrong.headers["X-Date"]
        unsigned = await http.post("/record")
    assert_refused(answer, 401, "HMAC signature does not match")
    shown = answer.headers["X-Server-String-To-Sign"]
    assert shown == rf"x-date: {date}\nPOST\napplication/json\n\n\n/record?a=\r\nX: y\xe8"
    assert "X-Server-String-To-Sign" not in unsigned.headers


@pytest.mark.parametrize("prefix", ["/release", "/release/"])
async def test_a_prefix_is_not_signed(key_file: KeyFile, prefix: str) -> None:
    async with served(key_file, AuthenticationOptions(strip_prefix=prefix)) as http:
        request = signed(http, "/record", b"{}")
        assert (await http.send(request)).status_code == 200
        request.url = request.url.copy_with(path="/release/record")
        assert (await http.send(request)).json()["length"] == 2
        answer = await http.send(signed(http, "/released/record", b"{}"))
        assert answer.status_code == 404, "another path, signed in full"


async def test_a_changed_key_file_counts_for_the_running_server(key_file: KeyFile, tmp_path: Path) -> None:
    async with served(key_file) as http:
        assert (await http.send(signed(http, "/record", b"{}"))).status_code == 200
        (tmp_path / "keys.json").write_text('{"keys": []}')
        await asyncio.sleep(1)
        answer = await http.send(signed(http, "/record", b"{}"))
    assert_refused(answer, 401, "HMAC signature cannot be verified")


async def test_a_client_that_goes_away_is_forgotten(key_file: KeyFile) -> None:
    async with served(key_file) as http:
        with structlog.testing.capture_logs() as logs:
            reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
            headers = signed(http, "/record", b"0123456789").headers.items()
            head = "".join(f"{name}: {value}\r\n" for name, value in headers)
            writer.write(f"POST /record HTTP/1.1\r\n{head}\r\n123".encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            assert await reader.read() == b""
            assert (await http.send(signed(http, "/record", b"{}"))).status_code == 200
    assert logs == []


async def test_a_websocket_is_closed(key_file: KeyFile) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "websocket", "path": "/healthz", "headers": []}
    await AuthenticationMiddleware(application(), key_file)(scope, receive, send)
    assert sent == [{"type": "websocket.close"}]
