"""Lets only requests through that are signed by a key of the key file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panoreel.dispatch.authentication.dates import KeyPairDates
from panoreel.dispatch.authentication.errors import Unauthorized
from panoreel.dispatch.authentication.keyfile import KeyFile
from panoreel.dispatch.authentication.request import SignedRequest
from panoreel.dispatch.authentication.verification import Claim, check_signature, claimed
from panoreel.dispatch.refusal import refusal

MAX_BODY_BYTES: Final = 512 * 1024
PUBLIC_PATHS: Final = frozenset(
    {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/swagger-ui.js", "/docs/swagger-ui.css"}
)
STRING_TO_SIGN_HEADER: Final = "X-Server-String-To-Sign"
_MAX_SHOWN_BYTES: Final = 4096


@dataclass(frozen=True)
class AuthenticationOptions:
    """What a deployment may choose.

    `strip_prefix` is a leading part of the path that clients do not sign, such as `/release`.
    `show_string_to_sign` tells a client whose signature differs what the server would have signed.
    """

    strip_prefix: str = ""
    key_pair_dates: KeyPairDates = "strict"
    show_string_to_sign: bool = False


class AuthenticationMiddleware:
    """Answers what is not signed itself; the application finds the `Key` in `request.state.key`."""

    def __init__(
        self, app: ASGIApp, key_file: KeyFile, options: AuthenticationOptions = AuthenticationOptions()
    ) -> None:
        self._app = app
        self._key_file = key_file
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3; WebSockets, which cannot be signed, are refused."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _without_prefix(scope["path"], self._options.strip_prefix)
        if path in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        request = SignedRequest(scope["method"], path, scope["query_string"], scope["headers"])
        try:
            # Nobody's body is read: what takes time and memory is for those who have a key.
            claim = await self._claimed(request)
            body = await _read(receive)
            check_signature(replace(request, body=body), claim)
        except Unauthorized as error:
            await refusal(error.status, error.message, self._debugging(error))(scope, receive, send)
        except _BodyTooLarge as error:
            await refusal(413, str(error))(scope, receive, send)
        except _Disconnected:
            return
        else:
            state = {**scope.get("state", {}), "key": claim.key}
            await self._app({**scope, "state": state}, _replayed(body, receive), send)

    async def _claimed(self, request: SignedRequest) -> Claim:
        keys = await self._key_file.keys()
        return claimed(request, keys, datetime.now(UTC), key_pair_dates=self._options.key_pair_dates)

    def _debugging(self, error: Unauthorized) -> Mapping[str, str]:
        if not self._options.show_string_to_sign or error.string_to_sign is None:
            return {}
        shown = error.string_to_sign[:_MAX_SHOWN_BYTES].decode("latin-1").encode("unicode_escape")
        return {STRING_TO_SIGN_HEADER: shown.decode("ascii")}


class _BodyTooLarge(Exception):
    pass


class _Disconnected(Exception):
    pass


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _BodyTooLarge(f"the body is longer than {MAX_BODY_BYTES} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body that was read, then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _without_prefix(path: str, prefix: str) -> str:
    if prefix and (path + "/").startswith(prefix.rstrip("/") + "/"):
        return path.removeprefix(prefix.rstrip("/")) or "/"
    return path
