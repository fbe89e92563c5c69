"""Facts beside the tasks' events: each kind on subjects of its own."""

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError
from pydantic import BaseModel

from panoreel.eventlog.connection import REQUEST_TIMEOUT_S
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import WRONG_LAST_SEQUENCE


async def publish_once(js: JetStreamContext, stream: str, subject: str, fact: BaseModel) -> bool:
    """Publish `fact` unless the subject holds one; whether this one is new.

    After an answer that was lost, a repeat says that it is not.

    Raises:
        LogUnavailable: JetStream did not answer; publish it again.
    """
    try:
        await _publish(js, stream, subject, fact, {"Nats-Expected-Last-Subject-Sequence": "0"})
    except BadRequestError as error:
        if error.err_code != WRONG_LAST_SEQUENCE:
            raise LogUnavailable(f"JetStream refused a message for {stream}: {error.description}") from error
        return False
    return True


async def publish_newest(js: JetStreamContext, stream: str, subject: str, fact: BaseModel) -> None:
    """Publish `fact`, which counts from now on instead of what the subject held before.

    Raises:
        LogUnavailable: JetStream did not answer; publish it again.
    """
    try:
        await _publish(js, stream, subject, fact, None)
    except BadRequestError as error:
        raise LogUnavailable(f"JetStream refused a message for {stream}: {error.description}") from error


async def _publish(
    js: JetStreamContext, stream: str, subject: str, fact: BaseModel, headers: dict[str, str] | None
) -> None:
    payload = fact.model_dump_json().encode()
    try:
        await js.publish(subject, payload, timeout=REQUEST_TIMEOUT_S, stream=stream, headers=headers)
    except BadRequestError:
        raise
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable(f"JetStream does not acknowledge messages for {stream}") from error
