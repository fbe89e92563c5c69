"""The bucket that VOD lends: a door before a real store that opens to temporary keys, for writing alone.

It refuses what COS refuses of S3's clients (documents 436/37421 and 436/14113), and keys that have expired.
"""

import hashlib
import hmac
import http.client
import re
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from urllib.parse import parse_qsl, quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers.seaweed import Seaweed

REGION = "ap-chongqing"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/s3/aws4_request, "
    r"SignedHeaders=(?P<signed>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_PASSED_ON = ("content-type", "content-md5")


@dataclass(frozen=True)
class TemporaryKeys:
    """They open everything below `prefix` until `expired_time` (Unix time)."""

    prefix: str
    expired_time: int
    secret_id: str = field(default_factory=lambda: f"AKID{token_hex(16)}")
    secret_key: str = field(default_factory=lambda: token_hex(16))
    token: str = field(default_factory=lambda: token_hex(64))


class Door(ThreadingHTTPServer):
    """Takes requests at `endpoint` as COS would, and passes them on to the store.

    `failures` is how many of the next requests are answered with HTTP 500.
    """

    def __init__(self, store: Seaweed) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.store = store
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.keys: dict[str, TemporaryKeys] = {}
        self.failures = 0
        self.refusal: str | None = None


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.failures:
            self.server.failures -= 1
            self._refuse(500, "InternalError")
        elif refusal := self.server.refusal or self._refusal(body):
            self._refuse(403, refusal)
        else:
            self._pass_on(body)

    do_POST = do_DELETE = do_GET = do_HEAD = do_PUT

    def _refusal(self, body: bytes) -> str | None:
        """The code with which the request is refused, if it is."""
        found = _AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        keys = self.server.keys.get(found["id"]) if found else None
        if not found or not keys:
            return "InvalidAccessKeyId"
        if self.headers.get("X-Amz-Security-Token") != keys.token:
            return "InvalidToken"
        if time.time() > keys.expired_time:
            return "ExpiredToken"
        if found["region"] != REGION or not self._is_signed(found, keys, body):
            return "SignatureDoesNotMatch"
        key = urlsplit(self.path).path.removeprefix(f"/{self.server.store.bucket}/")
        if self.command in ("GET", "HEAD") or not key.startswith(keys.prefix):
            return "AccessDenied"
        strange = "aws-chunked" in self.headers.get("Content-Encoding", "")
        if strange or any(name.lower().startswith("x-amz-checksum-") for name in self.headers):
            return "MissingContentLength"
        return None

    def _is_signed(self, found: re.Match[str], keys: TemporaryKeys, body: bytes) -> bool:
        parts = urlsplit(self.path)
        pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        names = found["signed"].split(";")
        headers = "".join(f"{name}:{(self.headers[name] or '').strip()}\n" for name in names)
        digest = hashlib.sha256(body).hexdigest()
        canonical = "\n".join([self.command, parts.path, query, headers, found["signed"], digest])
        scope = f"{found['date']}/{found['region']}/s3/aws4_request"
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256",
                self.headers["X-Amz-Date"],
                scope,
                hashlib.sha256(canonical.encode()).hexdigest(),
            ]
        )
        key = f"AWS4{keys.secret_key}".encode()
        for step in scope.split("/"):
            key = hmac.digest(key, step.encode(), "sha256")
        tokened = "x-amz-security-token" in names
        return tokened and hmac.compare_digest(
            hmac.digest(key, text.encode(), "sha256").hex(), found["signature"]
        )

    def _pass_on(self, body: bytes) -> None:
        store = self.server.store
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() in _PASSED_ON or name.lower().startswith("x-amz-meta-")
        }
        request = AWSRequest(self.command, store.endpoint + self.path, headers, body)
        S3SigV4Auth(Credentials(store.access_key, store.secret_key), "s3", store.region).add_auth(request)
        connection = http.client.HTTPConnection(urlsplit(store.endpoint).netloc, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(request.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        if etag := answer.headers.get("ETag"):
            self.send_header("ETag", etag)
        self._finish(content, answer.headers.get("Content-Type", "application/xml"))

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self._finish(
            f"<Error><Code>{code}</Code><Message>said COS</Message></Error>".encode(), "application/xml"
        )

    def _finish(self, content: bytes, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
