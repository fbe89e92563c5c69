"""The client for ordinary programs."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
from tenacity import Retrying

from panoreel.client import calls
from panoreel.client.answers import Event, Recording, RecordingDetail, Recordings, Status, Video
from panoreel.client.calls import Call
from panoreel.client.downloads import AS_IT_IS, CHUNK_BYTES, Incoming, incoming
from panoreel.client.errors import PanoreelError
from panoreel.client.parameters import ClipRequest, StartRequest
from panoreel.client.server import Server, goes_out
from panoreel.client.waiting import TIMEOUT_S, Watch, policy

T = TypeVar("T")


class Panoreel:
    """The API at `server`, for one thread or many; close it, or use it in a `with`.

    Without key and secret requests are not signed. Every method raises `PanoreelError`. What may be sent
    twice is tried again for about two seconds while the server cannot be reached.
    """

    def __init__(
        self,
        server: str,
        app_key: str | None = None,
        app_secret: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Raises `ValueError` for an address that is none, or a key without its secret."""
        self._server = Server(server, app_key, app_secret)
        self._timeout_s = timeout_s
        self._http = httpx.Client(timeout=timeout_s, trust_env=goes_out(server))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def act(self, action: str, data: dict[str, Any]) -> dict[str, Any]:
        """Any action with its raw `Data`; the raw answer. For what has no method here."""
        return self._send(calls.act(action, data))

    def start(self, request: StartRequest | str) -> str:
        """Start a recording, of a page with all defaults or as the request says; returns the task's id."""
        return self._send(calls.start(request))

    def clip(self, request: ClipRequest) -> str:
        """Cut a file out of a recording, which may still run; returns the id of the new task."""
        return self._send(calls.clip(request))

    def pause(self, task_id: str) -> None:
        """Leave out what the page shows from here on; success without effect when paused."""
        self._send(calls.pause(task_id))

    def resume(self, task_id: str) -> None:
        """Go on recording; nothing of the pause is in the file."""
        self._send(calls.resume(task_id))

    def refresh(self, task_id: str, record_url: str | None = None) -> None:
        """Load the page anew, or the page `record_url` in its place."""
        self._send(calls.refresh(task_id, record_url))

    def stop(self, task_id: str) -> None:
        """Ask for the recording's end; the file is finished all the same."""
        self._send(calls.stop(task_id))

    def force_stop(self, task_id: str) -> None:
        """End a recording whose page or recorder hangs; `InternalError` when it has ended already."""
        self._send(calls.force_stop(task_id))

    def describe(self, task_id: str) -> Recording:
        """The task's public state."""
        return self._send(calls.describe(task_id))

    def describe_detail(self, task_id: str) -> RecordingDetail:
        """All that may be shown of the task."""
        return self._send(calls.describe_detail(task_id))

    def list(
        self,
        status: Literal["all", "running", "finished"] = "all",
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Recordings:
        """Recordings created from `start_time` to `end_time`, newest first, `limit` of them from `offset` on.

        Raises:
            ValueError: a time has no time zone.
        """
        return self._send(calls.list_tasks(status, start_time, end_time, offset, limit))

    def events(self, task_id: str) -> tuple[Event, ...]:
        """The task's history, oldest first."""
        return self._send(calls.events(task_id))

    def watch(self, task_id: str, timeout_s: float | None = None) -> Iterator[Recording]:
        """The recording as it is, and again at each change of its status, until it is finished.

        An API that is away for less than half a minute is waited for. Raises `TimedOut` after `timeout_s`.
        """
        watch = Watch(timeout_s)
        while True:
            try:
                recording = self.describe(task_id)
            except PanoreelError as error:
                watch.bear(error)
            else:
                if watch.is_news(recording):
                    yield recording
                if recording.status == "finished":
                    return
            time.sleep(watch.pause_s())

    def wait(self, task_id: str, until: Status = "finished", timeout_s: float | None = None) -> Recording:
        """Wait until the recording is in the status `until`, or past it; see `watch`."""
        return next(recording for recording in self.watch(task_id, timeout_s) if recording.reached(until))

    def download(
        self, video: Video, target: Path, progress: Callable[[int], object] = lambda got_bytes: None
    ) -> None:
        """Fetch a finished video; `target` appears, or is replaced, only when the file is complete.

        Of HLS, `target` is the playlist; its segments go beside it, called after it.
        """
        url = video.file_url
        with (
            incoming(url, target) as file,
            # Not with our own client: the file is elsewhere, maybe on the other side of a proxy.
            httpx.Client(timeout=self._timeout_s, trust_env=goes_out(url)) as http,
        ):
            _fetch(http, file, progress)
            got_bytes = file.got_bytes
            for segment_url, segment_target in file.segments():
                with incoming(segment_url, segment_target, got_bytes) as segment:
                    _fetch(http, segment, progress)
                    got_bytes = segment.got_bytes

    def _send(self, call: Call[T]) -> T:
        answer: T = Retrying(**policy(call))(self._send_once, call)
        return answer

    def _send_once(self, call: Call[T]) -> T:
        with self._server.translated():
            response = self._http.send(self._server.request(call))
        return self._server.read(call, response)


def _fetch(http: httpx.Client, file: Incoming, progress: Callable[[int], object]) -> None:
    with http.stream("GET", file.url, headers=AS_IT_IS) as response:
        file.expect(response)
        for chunk in response.iter_bytes(CHUNK_BYTES):
            progress(file.write(chunk))
