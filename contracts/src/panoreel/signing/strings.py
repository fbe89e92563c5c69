"""What is signed, and how: one implementation for clients that sign and for the server that verifies.

The rules are those of Tencent Cloud API Gateway: application authentication (documents 628/55088, 628/40462)
and key pair authentication (document 628/11819). Everything is bytes, so that nothing is lost on the way.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

ALGORITHMS: Final[Mapping[str, str]] = {
    "hmac-sha1": "sha1",
    "hmac-sha256": "sha256",
    "hmac-sha384": "sha384",
    "hmac-sha512": "sha512",
}
"""`algorithm` of an `Authorization` header → the hash's name."""

FORM: Final = b"application/x-www-form-urlencoded"

Pairs = Iterable[tuple[bytes, bytes]]


class ApplicationFields(NamedTuple):
    """The fields that an application key signs, in their order."""

    headers: bytes
    method: bytes
    accept: bytes
    content_type: bytes
    content_md5: bytes
    path_and_parameters: bytes

    def string(self) -> bytes:
        """The signing string; an empty field keeps its line. A key pair signs `headers` alone."""
        return b"\n".join(self)


def signature(secret: str, algorithm: str, string: bytes) -> bytes:
    """The HMAC (RFC 2104) of a signing string; `algorithm` is one of `ALGORITHMS`."""
    return hmac.digest(secret.encode(), string, ALGORITHMS[algorithm])


def header_lines(headers: Pairs) -> bytes:
    """One `name: value` for each header, in the given order."""
    return b"\n".join(name.lower() + b": " + value.strip(b" \t") for name, value in headers)


def content_md5(body: bytes) -> bytes:
    """Base64 of the *hexadecimal* MD5, as all of the vendor's samples compute it; 44 characters."""
    return base64.b64encode(_md5(body).hexdigest().encode())


def content_md5_rfc1864(body: bytes) -> bytes:
    """Base64 of the MD5 itself (RFC 1864), which the vendor's prose may be read to ask for; 24 characters."""
    return base64.b64encode(_md5(body).digest())


def is_form(content_type: bytes) -> bool:
    """Whether a body of this type consists of parameters."""
    return content_type.partition(b";")[0].strip(b" \t").lower() == FORM


def encoded_parameters(text: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters of a query or form as they stand there."""
    pairs = (part.partition(b"=") for part in text.split(b"&") if part)
    return [(name, value) for name, _, value in pairs]


def decoded_parameters(text: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters of a query or form, percent-decoded, "+" being a blank."""
    return [(_decoded(name), _decoded(value)) for name, value in encoded_parameters(text)]


def path_and_parameters(path: bytes, parameters: Pairs) -> bytes:
    """The last field: parameters sorted by name, the first of equal names, no "=" before an empty value."""
    first: dict[bytes, bytes] = {}
    for name, value in parameters:
        first.setdefault(name, value)
    parts = [name + b"=" + value if value else name for name, value in sorted(first.items())]
    return (path or b"/") + (b"?" + b"&".join(parts) if parts else b"")


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _md5(body: bytes) -> "hashlib._Hash":
    return hashlib.md5(body, usedforsecurity=False)
