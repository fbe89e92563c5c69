"""What a starting recorder does about recordings that an earlier run of it left behind.

A child dies with its service, so whatever this recorder still owns in the log is lost: its sealed segments
are announced, and the task is offered again.
"""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Final

import structlog

from panoreel.contracts.commands import ReportLost
from panoreel.contracts.envelope import Cause
from panoreel.eventlog.segments import manifest
from panoreel.recorder.leftovers import sweep
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.segments import sealed

SPOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\.[0-9a-f-]{36}")
"""How `Recorder.spool` names a recording's directory; others put `lost+found` and the like beside it."""

_logger = structlog.get_logger()


async def recover(recorder: Recorder) -> None:
    """Announce every sealed segment in the spool, and give back the tasks that they belong to."""
    spool, run = recorder.settings.spool_dir, recorder.settings.run_dir
    for leftover in await asyncio.to_thread(_made, run):
        await asyncio.to_thread(sweep, leftover)
    for directory in await asyncio.to_thread(_made, spool):
        if SPOOL_NAME.fullmatch(directory.name):
            await give_back(recorder, directory, "the recorder died and was started again")


def _made(directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    return sorted(directory.iterdir())


async def give_back(recorder: Recorder, spool: Path, reason: str) -> None:
    """Announce what a recording that nobody looks after has left in its spool, and offer its task again."""
    task_id = spool.name.partition(".")[0]
    for path, media in await asyncio.to_thread(sealed, spool):
        await recorder.publish(task_id, path, media)
    task, _ = await recorder.log.load(task_id)
    if task and task.recorder_id == recorder.id:
        announced = await manifest(recorder.log, task_id)
        last_index = max((s.index for s in announced if s.epoch == task.epoch), default=None)
        await recorder.report(task_id, ReportLost(task.epoch, last_index, reason), Cause(recorder.actor))
        _logger.warning("gave back a recording", task_id=task_id, epoch=task.epoch, last_index=last_index)
    await asyncio.to_thread(shutil.rmtree, spool)
