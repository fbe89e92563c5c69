"""What a starting recorder does about recordings that an earlier run of it left behind.

A child dies with its service, so whatever this recorder still owns in the log is lost: its sealed segments
are announced, and the task is offered again.
"""

import asyncio
import re
import shutil
from contextlib import aclosing
from pathlib import Path
from typing import Final

import stamina
import structlog

from panoreel.contracts.commands import ReportLost, ReportMeasured
from panoreel.contracts.envelope import Cause
from panoreel.contracts.events import RecordingClaimed
from panoreel.eventlog.errors import LogUnavailable
from panoreel.eventlog.segments import manifest
from panoreel.recorder.leftovers import sweep
from panoreel.recorder.recorder import Recorder
from panoreel.recorder.segments import kept_quality, sealed

SPOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}\.[0-9a-f-]{36}")
"""How `Recorder.spool` names a recording's directory; others put `lost+found` and the like beside it."""

_logger = structlog.get_logger()


async def left_behind(recorder: Recorder) -> list[Path]:
    """The spools to give back, marked as such: no task of theirs is claimed before. Sweeps up the rest."""
    spool, run = recorder.settings.spool_dir, recorder.settings.run_dir
    for leftover in await asyncio.to_thread(_made, run):
        await asyncio.to_thread(sweep, leftover)
    found = [each for each in await asyncio.to_thread(_made, spool) if SPOOL_NAME.fullmatch(each.name)]
    recorder.returning.update(found)
    return found


async def try_give_back(recorder: Recorder, spool: Path, reason: str) -> None:
    """`give_back`, whose failure is logged: the spool is looked at again when the recorder starts."""
    recorder.returning.add(spool)
    try:
        await give_back(recorder, spool, reason)
    except Exception:  # whatever it was, other recordings go on
        _logger.exception("a recording could not be given back", spool=str(spool))
    finally:
        recorder.returning.discard(spool)


def _made(directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    return sorted(directory.iterdir())


async def give_back(recorder: Recorder, spool: Path, reason: str) -> None:
    """Announce what a recording that nobody looks after has left in its spool, and offer its task again.

    Does nothing to a later recording of the same task. Waits for a log that does not answer.

    Raises:
        StorageMissing: the task's segments can no longer be stored from here.
    """
    task_id, _, offer_id = spool.name.partition(".")
    if segments := await asyncio.to_thread(sealed, spool):
        load = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_max=5.0).on(LogUnavailable)
        task, _ = await load(recorder.log.load, task_id)
        if task is None:
            _logger.error("segments of an unknown task stay in the spool", task_id=task_id, spool=str(spool))
            return
        for path, media in segments:
            await recorder.publish(task, path, media)
    epoch = await _owned_epoch(recorder, task_id, offer_id)
    if epoch is not None:
        announced = await manifest(recorder.log, task_id)
        last_index = max((segment.index for segment in announced if segment.epoch == epoch), default=None)
        cause = Cause(recorder.actor)
        if quality := await asyncio.to_thread(kept_quality, spool):
            await recorder.report(task_id, ReportMeasured(epoch, quality), cause)
        await recorder.report(task_id, ReportLost(epoch, last_index, reason), cause)
        _logger.warning("gave back a recording", task_id=task_id, epoch=epoch, last_index=last_index)
    await asyncio.to_thread(shutil.rmtree, spool, ignore_errors=True)


async def _owned_epoch(recorder: Recorder, task_id: str, offer_id: str) -> int | None:
    """The epoch that was claimed upon this offer, if this recorder still owns it."""
    async for attempt in stamina.retry_context(on=LogUnavailable, attempts=None, timeout=None, wait_max=5.0):
        with attempt:
            task, _ = await recorder.log.load(task_id)
            if task is None or task.recorder_id != recorder.id:
                return None
            async with aclosing(recorder.log.history(task_id)) as history:
                async for stored in history:
                    if (
                        isinstance(stored.event, RecordingClaimed)
                        and stored.event.epoch == task.epoch
                        and stored.envelope.cause.causation == offer_id
                    ):
                        return task.epoch
    return None
