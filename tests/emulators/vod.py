"""VOD (API 2018-07-17) as far as uploads go: documents 266/31767, 266/31766 and 266/31774.

It verifies each signature, makes a media file only of objects that are in the store, and fails on demand.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import randbelow, token_hex, token_urlsafe
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from tests.emulators import tc3
from tests.emulators.cos import REGION, Door, TemporaryKeys
from tests.servers.seaweed import Seaweed

VERSION = "2018-07-17"
MEDIA_TYPES = ("mp4", "m3u8")

_LONGEST = {"SourceContext": 250, "SessionContext": 1000}


class Refusal(Exception):
    """What is answered instead of a result."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a call: VOD refuses it with a code, answers another HTTP status or this body.

    An empty body stands for none at all: the connection breaks. `done`: the call has its effect all the same.
    `then` is called before the answer, or in its place.
    """

    code: str | None = None
    status: int = 200
    body: bytes | None = None
    done: bool = False
    then: Callable[[], None] | None = None


@dataclass(frozen=True)
class Session:
    """An upload that was applied for with these parameters, and its media file, once there is one."""

    wishes: Mapping[str, Any]
    path: str
    file_id: str = field(default_factory=lambda: str(5_285_890_000_000_000_000 + randbelow(10**15)))

    @property
    def key(self) -> str:
        """Where it rests in the bucket."""
        return self.path.lstrip("/")


class VodEmulator:
    """One account, whose uploads rest in `store`. `media` are its media files by their ids."""

    secret_id = "AKIDdemo0000000000000000000000000001"
    secret_key = "demoSecretKey000000000000000001"

    def __init__(self, store: Seaweed) -> None:
        self.store = store
        self.door = Door(store)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.media: dict[str, Session] = {}
        self.certificate_s: deque[int] = deque()
        """How long the next credentials last; those after them last an hour."""
        self.sub_app_id: int | None = None
        """The only one that there is, if it is wanted in each call."""
        self.repeats_commits = True
        """Whether a session that was committed can be committed again."""
        self.content_type = "application/json"
        self._faults: deque[tuple[str, Fault]] = deque()
        self._sessions: dict[str, Session] = {}
        self._api = _Api(self)
        self._client = store.client()
        self._lock = Lock()
        self.endpoint = f"http://127.0.0.1:{self._api.server_port}"

    @contextmanager
    def running(self) -> Iterator["VodEmulator"]:
        """Answer for as long as the context lasts."""
        threads = [Thread(target=server.serve_forever, args=(0.05,)) for server in (self._api, self.door)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server in (self._api, self.door):
                server.shutdown()
                server.server_close()
            for thread in threads:
                thread.join()
            self._client.close()

    def fail(self, action: str, fault: Fault, times: int = 1) -> None:
        """Let the next calls of an action fail."""
        self._faults.extend([(action, fault)] * times)

    def forget_sessions(self) -> None:
        """Let all sessions expire."""
        self._sessions.clear()

    def called(self, action: str) -> list[dict[str, Any]]:
        """The parameters of all calls of an action."""
        return [parameters for name, parameters in self.calls if name == action]

    def content(self, key: str) -> bytes:
        """What rests in the bucket."""
        return self._client.get_object(Bucket=self.store.bucket, Key=key)["Body"].read()

    def answer(self, action: str, request: tc3.SignedRequest) -> tuple[Fault, dict[str, Any]]:
        """What a call leads to; calls are answered one after the other."""
        with self._lock:
            self.calls.append((action, json.loads(request.body)))
            fault = self._next_fault(action)
            try:
                tc3.verify(request, self.secret_id, self.secret_key, time.time())
                result = self._do(action, self.calls[-1][1]) if fault.done else {}
                if fault.code:
                    raise Refusal(fault.code)
            except (Refusal, tc3.Unsigned) as refusal:
                result = {"Error": {"Code": refusal.code, "Message": "said the emulator"}}
            if fault.then:
                fault.then()
            return fault, result

    def _next_fault(self, action: str) -> Fault:
        if self._faults and self._faults[0][0] == action:
            return self._faults.popleft()[1]
        return Fault(done=True)

    def _do(self, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.sub_app_id is not None and parameters.get("SubAppId") != self.sub_app_id:
            raise Refusal("InvalidParameterValue.SubAppId")
        match action:
            case "ApplyUpload":
                return self._apply(parameters)
            case "CommitUpload":
                return self._commit(parameters)
        raise Refusal("InvalidAction")

    def _apply(self, wishes: dict[str, Any]) -> dict[str, Any]:
        _check(wishes)
        directory = f"/{token_hex(5)}vodcq1500007120/{token_hex(8)}"
        session = Session(wishes, f"{directory}/f0.{wishes['MediaType']}")
        session_key = f"{token_urlsafe(60)}/+=="
        self._sessions[session_key] = session
        lasts_s = self.certificate_s.popleft() if self.certificate_s else 3600
        keys = TemporaryKeys(f"{directory[1:]}/", int(time.time()) + lasts_s)
        self.door.keys[keys.secret_id] = keys
        return {
            "StorageBucket": self.store.bucket,
            "StorageRegion": REGION,
            "VodSessionKey": session_key,
            "MediaStoragePath": session.path,
            "CoverStoragePath": None,
            "TempCertificate": {
                "SecretId": keys.secret_id,
                "SecretKey": keys.secret_key,
                "Token": keys.token,
                "ExpiredTime": keys.expired_time,
            },
        }

    def _commit(self, parameters: dict[str, Any]) -> dict[str, Any]:
        session = self._sessions.get(parameters.get("VodSessionKey", ""))
        if not session or (session.file_id in self.media and not self.repeats_commits):
            raise Refusal("InvalidParameterValue.VodSessionKey")
        if not self._is_whole(session):
            raise Refusal("ResourceNotFound")
        self.media[session.file_id] = session
        url = f"http://1500007120.vod2.myqcloud.com{session.path}"
        return {"FileId": session.file_id, "MediaUrl": url, "CoverUrl": ""}

    def _is_whole(self, session: Session) -> bool:
        """Whether the file is there, and of a playlist each segment, by a relative path."""
        try:
            content = self.content(session.key)
            if session.key.endswith(".m3u8"):
                lines = content.decode().splitlines()
                for name in (line for line in lines if line and not line.startswith("#")):
                    self.content(f"{session.key.rpartition('/')[0]}/{name}")
        except ClientError:
            return False
        return True


def _check(wishes: Mapping[str, Any]) -> None:
    if wishes.get("MediaType") not in MEDIA_TYPES:
        raise Refusal("InvalidParameterValue.MediaType")
    if "ExpireTime" in wishes:
        try:
            datetime.fromisoformat(wishes["ExpireTime"])
        except ValueError:
            raise Refusal("InvalidParameterValue.ExpireTime") from None
    for name, longest in _LONGEST.items():
        if len(wishes.get(name, "")) > longest:
            raise Refusal(f"InvalidParameterValue.{name}")
    if wishes.get("Procedure") == "":
        raise Refusal("InvalidParameterValue.Procedure")


class _Api(ThreadingHTTPServer):
    def __init__(self, emulator: VodEmulator) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.emulator = emulator


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Api

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = tc3.SignedRequest(headers, self.rfile.read(int(headers["content-length"])))
        action = headers["x-tc-action"] if headers.get("x-tc-version") == VERSION else "of another version"
        fault, result = self.server.emulator.answer(action, request)
        self.close_connection = True
        if fault.body == b"":
            return
        content = fault.body or json.dumps({"Response": {**result, "RequestId": str(uuid4())}}).encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", self.server.emulator.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
