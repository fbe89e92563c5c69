"""The result callback: one POST that is repeated until a receiver acknowledges it.

The headers are those of Standard Webhooks 1.0.0; the body is a task as `Describe` shows it.
"""

import asyncio
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import httpx
import stamina

from panoreel.contracts.answers import describe
from panoreel.contracts.events import CallbackDelivered, CallbackFailed
from panoreel.contracts.task import Task
from panoreel.contracts.urls import check_http_url
from panoreel.notifier.errors import AttemptFailed, NoFurtherAttempt

ATTEMPTS: Final = 5
ATTEMPT_TIMEOUT_S: Final = 2.0
PAUSE_S: Final = 1.0

_USER_AGENT: Final = f"Panoreel/{version('panoreel-notifier')}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, the same bytes and the same `id` in each attempt: receivers drop repeats by the id."""

    id: str
    body: bytes

    @classmethod
    def about(cls, task: Task) -> "Message":
        """The message that tells how a task ended."""
        body = json.dumps(describe(task), separators=(",", ":")).encode()
        return cls(id=f"msg_{task.task_id.replace('-', '')}", body=body)


async def deliver(message: Message, url: str) -> CallbackDelivered | CallbackFailed:
    """Try to deliver the message to `url`; what came of it, after about 14 s at most."""
    attempts = stamina.retry_context(
        on=lambda error: isinstance(error, AttemptFailed) and not isinstance(error, NoFurtherAttempt),
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=PAUSE_S,
        wait_max=PAUSE_S,
        wait_jitter=0,
    )
    made = 0
    # A client of its own: no cookie of one receiver may ever reach another task's.
    async with httpx.AsyncClient(timeout=None, follow_redirects=False) as client:
        try:
            async for attempt in attempts:
                with attempt:
                    made = attempt.num
                    await _post(client, message, url)
        except AttemptFailed as error:
            return CallbackFailed(attempts=made, last_error=str(error))
    return CallbackDelivered(attempts=made)


async def _post(client: httpx.AsyncClient, message: Message, url: str) -> None:
    """One attempt. The status line decides; the answer's body is not even read.

    Raises:
        AttemptFailed: the receiver did not acknowledge the message.
        NoFurtherAttempt: it asked for no more, or there is no such place.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "webhook-id": message.id,
        "webhook-timestamp": str(int(time.time())),
    }
    try:
        async with (
            asyncio.timeout(ATTEMPT_TIMEOUT_S),
            client.stream("POST", check_http_url(url), content=message.body, headers=headers) as answer,
        ):
            status = answer.status_code
    except TimeoutError:
        raise AttemptFailed(f"timeout of {ATTEMPT_TIMEOUT_S * 1000:.0f}ms exceeded") from None
    except httpx.TransportError as error:
        raise AttemptFailed(_reason(error)) from None
    except (httpx.InvalidURL, ValueError):  # of the latter kind: a host that is no internationalised name
        raise NoFurtherAttempt("the URL is invalid") from None
    if status == httpx.codes.GONE:
        raise NoFurtherAttempt(f"HTTP {status}")
    if not httpx.codes.is_success(status):
        raise AttemptFailed(f"HTTP {status}")


def _reason(error: httpx.TransportError) -> str:
    """What went wrong, in words that hold nothing of the URL but, for a wrong certificate, the host."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "host not found"
            case ssl.SSLCertVerificationError():
                return f"TLS certificate refused: {cause.verify_message}"
            case ssl.SSLError():
                return "TLS handshake failed"
            case OSError(errno=int(number)):
                return os.strerror(number).lower()
    return type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        # Of the addresses that one name has, the first one's failure tells enough.
        error = (
            error.exceptions[0] if isinstance(error, ExceptionGroup) else error.__cause__ or error.__context__
        )
