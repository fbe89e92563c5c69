"""What the services of one deployment agree on."""

import asyncio
from contextlib import aclosing

from panoreel.eventlog.deployment import agreed, announce, announcements
from panoreel.eventlog.log import EventLog, open_log
from tests.servers.nats import NatsServer


async def test_first_to_say_decides_for_all(log: EventLog, task_id: str) -> None:
    answers = await asyncio.gather(*(agreed(log, task_id, f"value-{number}") for number in range(5)))
    assert len(set(answers)) == 1
    assert await agreed(log, task_id, "another") == answers[0]


async def test_answers_that_are_lost_are_asked_for_again(own_nats_server: NatsServer) -> None:
    async with open_log(own_nats_server.url, "test") as log:
        own_nats_server.freeze()
        asking = asyncio.create_task(agreed(log, "name", "value"))
        await asyncio.sleep(1.2)  # longer than two requests wait
        own_nats_server.thaw()
        assert await asking == "value"


async def test_everybody_speaks_for_themselves(log: EventLog, task_id: str) -> None:
    for by, value in (("one", "off"), ("one", "filtered"), ("zwei, 二", "off")):
        await announce(log, task_id, by, value)
    said: dict[str, str] = {}
    async with asyncio.timeout(10), aclosing(announcements(log, task_id)) as announced:
        while len(said) < 2:
            by, value = await anext(announced)
            said[by] = value
        assert sorted(said.values()) == ["filtered", "off"]
        await announce(log, task_id, "zwei, 二", "filtered")
        by, value = await anext(announced)
    assert set((said | {by: value}).values()) == {"filtered"}
