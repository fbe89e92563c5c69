"""The result callback: one POST that is repeated until a receiver acknowledges it.

The headers are those of Standard Webhooks 1.0.0; the body is a task as `Describe` shows it.
"""

import asyncio
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
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
from panoreel.reach.addresses import Address, Networks
from panoreel.reach.resolution import HostNotFound, NotAllowed, Resolve, look_up, reachable

ATTEMPTS: Final = 5
ATTEMPT_TIMEOUT_S: Final = 2.0
PAUSE_S: Final = 1.0
FALLBACK_S: Final = 0.5
"""How long connecting to an address may take when the host has another one to try."""

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


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a callback may go: to public addresses, and to those in `allowed`."""

    allowed: Networks = ()
    resolve: Resolve = look_up


async def deliver(message: Message, url: str, reach: Reach) -> CallbackDelivered | CallbackFailed:
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
                    await _post(client, message, url, reach)
        except AttemptFailed as error:
            return CallbackFailed(attempts=made, last_error=str(error))
    return CallbackDelivered(attempts=made)


async def _post(client: httpx.AsyncClient, message: Message, url: str, reach: Reach) -> None:
    """One attempt. The status line decides; the answer's body is not even read.

    Raises:
        AttemptFailed: the receiver did not acknowledge the message.
        NoFurtherAttempt: it asked for no more, or there is no such place, or none that may be told.
    """
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
            target = httpx.URL(check_http_url(url))
            addresses = await reachable(target.raw_host.decode(), reach.allowed, reach.resolve)
            status = await _status(client, message, target, addresses)
    except TimeoutError:
        raise AttemptFailed(f"timeout of {ATTEMPT_TIMEOUT_S * 1000:.0f}ms exceeded") from None
    except HostNotFound:
        raise AttemptFailed("host not found") from None
    except NotAllowed:
        raise NoFurtherAttempt("the URL leads to an address that is not public") from None
    except httpx.TransportError as error:
        raise AttemptFailed(_reason(error)) from None
    except (httpx.InvalidURL, ValueError):  # of the latter kind: a host that is no internationalised name
        raise NoFurtherAttempt("the URL is invalid") from None
    if status == httpx.codes.GONE:
        raise NoFurtherAttempt(f"HTTP {status}")
    if not httpx.codes.is_success(status):
        raise AttemptFailed(f"HTTP {status}")


async def _status(
    client: httpx.AsyncClient, message: Message, target: httpx.URL, addresses: Sequence[Address]
) -> int:
    """What the first of the host's addresses that takes the connection answers."""
    headers = {
        "Host": target.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "webhook-id": message.id,
        "webhook-timestamp": str(int(time.time())),
    }
    # The certificate is still to be the host's.
    tls = {"sni_hostname": target.raw_host.decode()}
    for address in addresses:
        last = address is addresses[-1]
        request = client.build_request(
            "POST",
            target.copy_with(host=str(address)),
            content=message.body,
            headers=headers,
            timeout=httpx.Timeout(None, connect=None if last else FALLBACK_S),
            extensions=tls,
        )
        try:
            answer = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if last:
                raise
        else:
            await answer.aclose()
            return answer.status_code
    raise AssertionError("a reachable host has an address")


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
