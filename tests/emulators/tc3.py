"""The signature TC3-HMAC-SHA256 as its receiver sees it (Tencent Cloud document 266/34114)."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

ALGORITHM = "TC3-HMAC-SHA256"
SKEW_S = 300

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<id>[^/]+)/(?P<scope>(?P<date>[^/]+)/(?P<service>[^/]+)/tc3_request), "
    r"SignedHeaders=(?P<signed>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


class Unsigned(Exception):
    """The request is not to be trusted; `code` is what the service answers."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class SignedRequest:
    """A POST to `/`, with the names of its headers in lower case."""

    headers: Mapping[str, str]
    body: bytes


def verify(request: SignedRequest, secret_id: str, secret_key: str, now_s: float) -> None:
    """Make sure that the owner of the key signed the request, not long before `now_s` (Unix time).

    Raises:
        Unsigned: it did not.
    """
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if not found:
        raise Unsigned("AuthFailure.InvalidAuthorization")
    timestamp = int(request.headers["x-tc-timestamp"])
    signed = found["signed"].split(";")
    if abs(now_s - timestamp) > SKEW_S or found["date"] != date_of(timestamp):
        raise Unsigned("AuthFailure.SignatureExpire")
    if found["id"] != secret_id:
        raise Unsigned("AuthFailure.SecretIdNotFound")
    if not {"content-type", "host"} <= set(signed):
        raise Unsigned("AuthFailure.InvalidAuthorization")
    digest = hashlib.sha256(canonical_request(request, signed).encode()).hexdigest()
    expected = signature(secret_key, found["service"], timestamp, digest)
    if not hmac.compare_digest(expected, found["signature"]):
        raise Unsigned("AuthFailure.SignatureFailure")


def canonical_request(request: SignedRequest, signed: Sequence[str]) -> str:
    """What is hashed of a request, of whose headers these are signed."""
    headers = "".join(f"{name}:{request.headers[name].strip().lower()}\n" for name in sorted(signed))
    return "\n".join(["POST", "/", "", headers, ";".join(signed), hashlib.sha256(request.body).hexdigest()])


def signature(secret_key: str, service: str, timestamp: int, digest: str) -> str:
    """The signature of a canonical request whose SHA-256 is `digest`."""
    date = date_of(timestamp)
    key = f"TC3{secret_key}".encode()
    for step in (date, service, "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    text = "\n".join([ALGORITHM, str(timestamp), f"{date}/{service}/tc3_request", digest])
    return hmac.digest(key, text.encode(), "sha256").hex()


def date_of(timestamp: int) -> str:
    """The UTC date of a Unix time."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
