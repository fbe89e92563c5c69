"""Panoreel's HTTP API, as far as a recording from the command line needs it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from .errors import DownloadFailed, RequestRefused, ServerUnreachable

TIMEOUT_S = 15.0
CHUNK_BYTES = 1 << 18


class Client:
    """A client of the API at `base_url`. Every call raises `ServerUnreachable` or `RequestRefused`."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._base_url, timeout=TIMEOUT_S, trust_env=_goes_out(self._base_url)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def start(self, url: str, *, seconds: int, width: int, height: int) -> str:
        """Start a recording of at most `seconds` from its first frame; returns the task's id."""
        data = {"RecordURL": url, "Width": width, "Height": height, "MaxDurationLimit": seconds}
        return str(self._act("Start", data)["TaskID"])

    def describe(self, task_id: str) -> dict[str, Any]:
        """The task as the API shows it: `Status`, times in Unix seconds, `Result`; empty fields left out."""
        return self._act("Describe", {"TaskID": task_id})

    def stop(self, task_id: str) -> None:
        """Ask for the recording's end; the file is finished all the same."""
        self._act("Stop", {"TaskID": task_id})

    def events(self, task_id: str) -> list[dict[str, Any]]:
        """The task's history, oldest first: `Seq`, `Type`, `Time`, `Actor`, `Data`."""
        with self._translated():
            answer = self._http.get(f"/tasks/{task_id}/events")
            answer.raise_for_status()
            events: list[dict[str, Any]] = answer.json()["Events"]
            return events

    def download(self, url: str, target: Path) -> Iterator[int]:
        """Fetch `url` into `target`, yielding the bytes there are so far; raises `DownloadFailed`.

        `target` appears, or is replaced, only when the file is complete.
        """
        part = _part(target)
        try:
            with (
                httpx.stream("GET", url, timeout=TIMEOUT_S, trust_env=_goes_out(url)) as answer,
                part.open("wb") as sink,
            ):
                answer.raise_for_status()
                for chunk in answer.iter_bytes(CHUNK_BYTES):
                    sink.write(chunk)
                    yield sink.tell()
                expected = int(answer.headers.get("Content-Length", sink.tell()))
            if (got := part.stat().st_size) != expected:
                raise DownloadFailed(f"{url}: {got} bytes of {expected} arrived")
            part.replace(target)
        except (httpx.HTTPError, OSError) as error:
            raise DownloadFailed(f"{url}: {error}") from error
        finally:
            part.unlink(missing_ok=True)

    def _act(self, action: str, data: dict[str, Any]) -> dict[str, Any]:
        with self._translated():
            answer = self._http.post("/record", json={"Action": action, "Data": data})
            answer.raise_for_status()
            body: dict[str, Any] = answer.json()
        if "ErrorCode" in body:
            raise RequestRefused(body["ErrorCode"], body.get("ErrorMessage", body["ErrorCode"]))
        return body

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
            raise ServerUnreachable(
                f"the Panoreel API at {self._base_url} does not answer: {error}"
            ) from error


def check_target(target: Path) -> None:
    """Make sure that `download` can write `target`; raises `OSError`."""
    if target.exists() and not target.is_file():
        # By root, even a device would be replaced.
        raise OSError(f"{target} is there and no regular file")
    part = _part(target)
    with suppress(FileExistsError):
        part.open("xb").close()
        part.unlink()


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _goes_out(url: str) -> bool:
    """A proxy from the environment is for the world, not for a server on this machine."""
    return httpx.URL(url).host not in ("127.0.0.1", "::1", "localhost")
