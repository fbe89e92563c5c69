"""What the services of one deployment agree on."""

import asyncio

from panoreel.eventlog.deployment import agreed, announce, announced
from panoreel.eventlog.log import EventLog


async def test_first_to_say_decides_for_all(log: EventLog, task_id: str) -> None:
    answers = await asyncio.gather(*(agreed(log, task_id, f"value-{number}") for number in range(5)))
    assert len(set(answers)) == 1
    assert await agreed(log, task_id, "another") == answers[0]


async def test_what_was_announced_last_holds(log: EventLog, task_id: str) -> None:
    assert await announced(log, task_id) is None
    for value in ("off", "filtered"):
        await announce(log, task_id, value)
        assert await announced(log, task_id) == value
