"""Sign a request to the action API; needs nothing but the standard library."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import unquote_to_bytes, urlsplit

from panoreel.signing.strings import (
    ApplicationFields,
    content_md5,
    decoded_parameters,
    header_lines,
    is_form,
    path_and_parameters,
    signature,
)


@dataclass(frozen=True)
class Credentials:
    """A key's id and secret, and one of `hmac-sha1`, `hmac-sha256`, `hmac-sha384`, `hmac-sha512`."""

    id: str
    secret: str = field(repr=False)
    algorithm: str = "hmac-sha256"


@dataclass(frozen=True)
class Request:
    """A request about to be sent: `url` and `headers` as given to the HTTP client, `body` as it goes out."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def sign(
    credentials: Credentials, request: Request, now: datetime, also: Sequence[str] = ()
) -> dict[str, str]:
    """Every header to send, signed with an application key.

    These are the request's own ones, `X-Date`, `Authorization` and, if missing, `Accept` and a body's
    `Content-Type`: their values are signed, so the HTTP client must not choose them. `also` names further
    headers to sign.

    Raises:
        KeyError: the algorithm is unknown, or a header of `also` is missing.
    """
    defaults = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if request.body else {})
    headers = _headers(request.headers, defaults, now)
    values = _lowered(headers)
    names = _names(also)
    content_type = values.get("content-type", b"")
    url = urlsplit(request.url)
    parameters = decoded_parameters(url.query.encode())
    if is_form(content_type):
        parameters += decoded_parameters(request.body)
        md5 = b""
    else:
        md5 = values.get("content-md5", content_md5(request.body) if request.body else b"")
    string = ApplicationFields(
        headers=header_lines((name.encode(), values[name]) for name in names),
        method=request.method.upper().encode(),
        accept=values["accept"],
        content_type=content_type,
        content_md5=md5,
        path_and_parameters=path_and_parameters(unquote_to_bytes(url.path), parameters),
    ).string()
    return headers | {"Authorization": _authorization(credentials, names, string)}


def sign_key_pair(
    credentials: Credentials, headers: Mapping[str, str], now: datetime, also: Sequence[str] = ()
) -> dict[str, str]:
    """`headers`, `X-Date` and an `Authorization` by a key pair, covering `X-Date` and the headers of `also`.

    Raises:
        KeyError: the algorithm is unknown, or a header of `also` is missing.
    """
    complete = _headers(headers, {}, now)
    values = _lowered(complete)
    names = _names(also)
    string = header_lines((name.encode(), values[name]) for name in names)
    return complete | {"Authorization": _authorization(credentials, names, string)}


def _headers(given: Mapping[str, str], defaults: Mapping[str, str], now: datetime) -> dict[str, str]:
    """The given headers, what is missing of the defaults, and the time, in the form of RFC 9110 §5.6.7."""
    kept = {name: value for name, value in given.items() if name.lower() not in ("x-date", "authorization")}
    present = {name.lower() for name in kept}
    missing = {name: value for name, value in defaults.items() if name.lower() not in present}
    return kept | missing | {"X-Date": format_datetime(now.astimezone(UTC), usegmt=True)}


def _lowered(headers: Mapping[str, str]) -> dict[str, bytes]:
    return {name.lower(): value.strip(" \t").encode() for name, value in headers.items()}


def _names(also: Sequence[str]) -> list[str]:
    return sorted({"x-date", *(name.lower() for name in also)})


def _authorization(credentials: Credentials, names: Sequence[str], string: bytes) -> str:
    value = base64.b64encode(signature(credentials.secret, credentials.algorithm, string)).decode()
    return (
        f'hmac id="{credentials.id}", algorithm="{credentials.algorithm}", '
        f'headers="{" ".join(names)}", signature="{value}"'
    )
