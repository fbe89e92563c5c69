"""The client for asyncio programs: `Panoreel`, awaited."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
from tenacity import AsyncRetrying

from panoreel.client import calls
from panoreel.client.answers import Event, Recording, RecordingDetail, Recordings, Status, Video
from panoreel.client.calls import Call
from panoreel.client.downloads import AS_IT_IS, CHUNK_BYTES, Incoming, incoming
from panoreel.client.errors import PanoreelError
from panoreel.client.parameters import ClipRequest, StartRequest
from panoreel.client.server import Server, goes_out
from panoreel.client.waiting import TIMEOUT_S, Watch, policy

T = TypeVar("T")


class AsyncPanoreel:
    """The API at `server`, for one event loop; close it, or use it in an `async with`. See `Panoreel`."""

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
        self._http = httpx.AsyncClient(timeout=timeout_s, trust_env=goes_out(server))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def act(self, action: str, data: dict[str, Any]) -> dict[str, Any]:
        """See `Panoreel.act`."""
        return await self._send(calls.act(action, data))

    async def start(self, request: StartRequest | str) -> str:
        """See `Panoreel.start`."""
        return await self._send(calls.start(request))

    async def clip(self, request: ClipRequest) -> str:
        """See `Panoreel.clip`."""
        return await self._send(calls.clip(request))

    async def pause(self, task_id: str) -> None:
        """See `Panoreel.pause`."""
        await self._send(calls.pause(task_id))

    async def resume(self, task_id: str) -> None:
        """See `Panoreel.resume`."""
        await self._send(calls.resume(task_id))

    async def refresh(self, task_id: str, record_url: str | None = None) -> None:
        """See `Panoreel.refresh`."""
        await self._send(calls.refresh(task_id, record_url))

    async def stop(self, task_id: str) -> None:
        """See `Panoreel.stop`."""
        await self._send(calls.stop(task_id))

    async def force_stop(self, task_id: str) -> None:
        """See `Panoreel.force_stop`."""
        await self._send(calls.force_stop(task_id))

    async def describe(self, task_id: str) -> Recording:
        """See `Panoreel.describe`."""
        return await self._send(calls.describe(task_id))

    async def describe_detail(self, task_id: str) -> RecordingDetail:
        """See `Panoreel.describe_detail`."""
        return await self._send(calls.describe_detail(task_id))

    async def list(
        self,
        status: Literal["all", "running", "finished"] = "all",
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Recordings:
        """See `Panoreel.list`."""
        return await self._send(calls.list_tasks(status, start_time, end_time, offset, limit))

    async def events(self, task_id: str) -> tuple[Event, ...]:
        """See `Panoreel.events`."""
        return await self._send(calls.events(task_id))

    async def watch(self, task_id: str, timeout_s: float | None = None) -> AsyncGenerator[Recording, None]:
        """See `Panoreel.watch`."""
        watch = Watch(timeout_s)
        while True:
            try:
                recording = await self.describe(task_id)
            except PanoreelError as error:
                watch.bear(error)
            else:
                if watch.is_news(recording):
                    yield recording
                if recording.status == "finished":
                    return
            await asyncio.sleep(watch.pause_s())

    async def wait(
        self, task_id: str, until: Status = "finished", timeout_s: float | None = None
    ) -> Recording:
        """See `Panoreel.wait`."""
        async with aclosing(self.watch(task_id, timeout_s)) as states:
            return await anext(recording async for recording in states if recording.reached(until))

    async def download(
        self, video: Video, target: Path, progress: Callable[[int], object] = lambda got_bytes: None
    ) -> None:
        """See `Panoreel.download`."""
        url = video.file_url
        with incoming(url, target) as file:
            async with httpx.AsyncClient(timeout=self._timeout_s, trust_env=goes_out(url)) as http:
                await _fetch(http, file, progress)
                got_bytes = file.got_bytes
                for segment_url, segment_target in await asyncio.to_thread(file.segments):
                    with incoming(segment_url, segment_target, got_bytes) as segment:
                        await _fetch(http, segment, progress)
                        got_bytes = segment.got_bytes

    async def _send(self, call: Call[T]) -> T:
        return await AsyncRetrying(**policy(call))(self._send_once, call)

    async def _send_once(self, call: Call[T]) -> T:
        with self._server.translated():
            response = await self._http.send(self._server.request(call))
        return self._server.read(call, response)


async def _fetch(http: httpx.AsyncClient, file: Incoming, progress: Callable[[int], object]) -> None:
    async with http.stream("GET", file.url, headers=AS_IT_IS) as response:
        file.expect(response)
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            progress(await asyncio.to_thread(file.write, chunk))
