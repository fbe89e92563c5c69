"""What all services of one deployment must have in common, and cannot see of each other."""

import nats.errors
from nats.js.errors import KeyWrongLastSequenceError

from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.topology import DEPLOYMENT


async def agreed(log: EventLog, name: str, value: str) -> str:
    """What the deployment's services take `name` for: `value`, if this is the first one to say.

    Raises:
        LogUnavailable: the bucket did not answer.
    """
    try:
        bucket = await log.js.key_value(DEPLOYMENT)
        try:
            await bucket.create(name, value.encode())
        except KeyWrongLastSequenceError:
            return ((await bucket.get(name)).value or b"").decode()
        return value
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable("the deployment bucket does not answer") from error
