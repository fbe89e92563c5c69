"""The server as both clients see it: a call becomes a signed request, an answer a value or an error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import httpx

from panoreel.client.calls import Call
from panoreel.client.errors import (
    InternalError,
    InvalidParam,
    InvalidStatus,
    PanoreelError,
    RateLimited,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from panoreel.contracts.urls import check_http_url
from panoreel.signing.client import Credentials, Request, sign

T = TypeVar("T")

_BY_CODE: Final[dict[str, type[PanoreelError]]] = {
    error.__name__: error for error in (InvalidParam, InvalidStatus, InternalError)
}
_GATEWAY_STATUSES: Final = (502, 503, 504)
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Server:
    """The API at `url`; requests are signed if there is a key, and sent as they are if there is none.

    Raises:
        ValueError: `url` is no http or https URL, or of key and secret one is missing.
    """

    def __init__(self, url: str, app_key: str | None, app_secret: str | None) -> None:
        try:
            address = httpx.URL(check_http_url(url))
        except (ValueError, httpx.InvalidURL) as error:
            raise ValueError(f"the server's address {error}") from None
        if address.userinfo or address.query or address.fragment:
            # It appears in errors, and a password in it would take the signature's place.
            raise ValueError("the server's address must not have a user, a query or a fragment")
        self.url = str(address).rstrip("/")
        if bool(app_key) != bool(app_secret):
            raise ValueError("app_key and app_secret belong together: give both or neither")
        if not (app_key or "").isascii():
            raise ValueError("app_key has letters that no key has")
        self._credentials = Credentials(app_key, app_secret) if app_key and app_secret else None

    def request(self, call: Call[Any]) -> httpx.Request:
        """The request to send now: its signature holds for minutes."""
        url = f"{self.url}{call.path}"
        headers = {"Accept": "application/json"}
        if call.body:
            headers["Content-Type"] = "application/json"
        if self._credentials:
            request = Request(call.method, url, call.body, headers)
            headers = sign(self._credentials, request, datetime.now(UTC))
        return httpx.Request(call.method, url, headers=headers, content=call.body)

    def read(self, call: Call[T], response: httpx.Response) -> T:
        """What the call answers.

        Raises:
            PanoreelError: of the kind that the answer tells.
        """
        content = self._content(response)
        request_id = content.pop("RequestID", response.headers.get("X-Api-RequestId"))
        if response.is_success and "ErrorCode" not in content:
            try:
                return call.read(content)
            except (KeyError, TypeError, ValueError) as error:
                raise self._strange(f"of its answer, {error}") from error
        raise _refusal(response, content, request_id)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Failures of the connection, told as `Unreachable`."""
        try:
            yield
        except httpx.HTTPError as error:
            sent = not isinstance(error, _NEVER_SENT)
            reason = str(error) or type(error).__name__
            message = f"the Panoreel API at {self.url} does not answer: {reason}"
            raise Unreachable(message, sent=sent) from error

    def _content(self, response: httpx.Response) -> dict[str, Any]:
        try:
            content = response.json()
        except ValueError:
            content = None
        if response.status_code in _GATEWAY_STATUSES:
            message = content.get("message") if isinstance(content, dict) else None
            raise Unreachable(
                f"the Panoreel API at {self.url} cannot answer now: {message or response.reason_phrase}"
            )
        if not isinstance(content, dict):
            raise self._strange(f"HTTP {response.status_code}")
        return content

    def _strange(self, reason: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(f"the server at {self.url} does not answer as a Panoreel API does: {reason}")


def _refusal(response: httpx.Response, content: dict[str, Any], request_id: str | None) -> PanoreelError:
    status = response.status_code
    if "ErrorCode" in content:
        code = str(content["ErrorCode"])
        message = str(content.get("ErrorMessage", code))
        return _BY_CODE.get(code, PanoreelError)(message, code=code, request_id=request_id)
    message = str(content.get("message") or f"HTTP {status}: {json.dumps(content, ensure_ascii=False)}")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        retry_after_s = _seconds(response.headers.get("Retry-After", ""))
        return RateLimited(message, retry_after_s=retry_after_s, request_id=request_id)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Unauthorized(message, request_id=request_id)
    kind = InvalidParam if response.is_client_error else InternalError
    return kind(message, request_id=request_id)


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def goes_out(url: str) -> bool:
    """A proxy from the environment is for the world, not for a server on this machine."""
    return httpx.URL(url).host not in ("127.0.0.1", "::1", "localhost")
