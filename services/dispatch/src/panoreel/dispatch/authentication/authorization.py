"""The grammar of the `Authorization` header: `hmac id="…", algorithm="…", headers="…", signature="…"`."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from panoreel.dispatch.authentication.errors import Unauthorized
from panoreel.signing.strings import ALGORITHMS

_PARAMETER: Final = rb'([a-z]+)="([^"]*)"'
_PARAMETERS: Final = re.compile(_PARAMETER, re.IGNORECASE)
_AUTHORIZATION: Final = re.compile(rb"hmac +%b(?: *, *%b)*" % (_PARAMETER, _PARAMETER), re.IGNORECASE)
_NAMES: Final = frozenset({b"id", b"algorithm", b"headers", b"signature"})


@dataclass(frozen=True)
class Authorization:
    """Who says to have signed, how, which headers (lower-case names, as listed), and the signature."""

    id: str
    algorithm: str
    headers: tuple[bytes, ...]
    signature: bytes


def parse(text: bytes) -> Authorization:
    """Read the header's value.

    Raises:
        Unauthorized: it has another form, a parameter is missing, or the algorithm is not supported.
    """
    parameters = _parameters(text)
    key_id, signature = parameters.get(b"id"), parameters.get(b"signature")
    if not key_id or not signature:
        raise Unauthorized(401, "HMAC id or signature missing")
    algorithm, headers = parameters.get(b"algorithm"), _header_names(parameters.get(b"headers", b""))
    if not algorithm or not headers:
        raise Unauthorized(401, "HMAC authorization headers is invalidate")
    name = algorithm.decode("latin-1")
    if name.lower() not in ALGORITHMS:
        raise Unauthorized(401, f"HMAC algorithm {name} not supported")
    return Authorization(key_id.decode("latin-1"), name.lower(), headers, _signature(signature))


def _parameters(text: bytes) -> dict[bytes, bytes]:
    pairs = _PARAMETERS.findall(text) if _AUTHORIZATION.fullmatch(text) else []
    parameters = {name.lower(): value for name, value in pairs}
    if not pairs or len(parameters) != len(pairs) or not parameters.keys() <= _NAMES:
        raise Unauthorized(401, "HMAC authorization format error")
    return parameters


def _header_names(text: bytes) -> tuple[bytes, ...]:
    return tuple(name.lower() for name in text.split(b" ") if name)


def _signature(text: bytes) -> bytes:
    """The bytes of a signature; none, which never match, unless it is canonical base64 (RFC 4648 §3.5)."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
    return decoded if base64.b64encode(decoded) == text else b""
