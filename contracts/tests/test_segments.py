"""The manifest: every segment once, in order."""

import asyncio

from contracts.tests.examples import segment
from panoreel.contracts import subjects
from panoreel.eventlog.log import EventLog
from panoreel.eventlog.segments import announce, manifest
from panoreel.eventlog.topology import SEGMENTS


async def test_manifest_of_an_unknown_task_is_empty(log: EventLog, task_id: str) -> None:
    assert await manifest(log, task_id) == []


async def test_announcing_again_changes_nothing(log: EventLog, task_id: str) -> None:
    announced = segment(task_id, epoch=1, index=0)
    await announce(log, announced)
    await asyncio.gather(*(announce(log, announced) for _ in range(5)))
    assert await manifest(log, task_id) == [announced]
    subject = subjects.of_segment(task_id, 1, 0)
    state = (await log.js.stream_info(SEGMENTS, subjects_filter=subject)).state
    assert state.subjects == {subject: 1}


async def test_manifest_is_sorted_by_epoch_and_index_as_numbers(log: EventLog, task_id: str) -> None:
    expected = [segment(task_id, epoch, index) for epoch in (1, 2, 10) for index in range(12)]
    for announced in reversed(expected):
        await announce(log, announced)
    await announce(log, segment(f"{task_id}-b", 1, 0))
    assert await manifest(log, task_id) == expected


async def test_fields_of_a_newer_writer_are_ignored(log: EventLog, task_id: str) -> None:
    written = segment(task_id, 1, 0)
    payload = written.model_dump_json().replace("{", '{"news":1,', 1).encode()
    await log.js.publish(subjects.of_segment(task_id, 1, 0), payload)
    assert await manifest(log, task_id) == [written]
