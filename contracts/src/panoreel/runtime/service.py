"""The frame of a service process: one-line logs, a sign of readiness, and a graceful end on SIGTERM."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TypeVar

import structlog
from pydantic import ValidationError

from panoreel.runtime.cancellation import keep_cancellations
from panoreel.runtime.settings import ServiceSettings

Settings = TypeVar("Settings", bound=ServiceSettings)


def load_settings(settings: type[Settings]) -> Settings:
    """Read the settings from the environment; a wrong one ends the process with a sentence that names it."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"PANOREEL_{name}: {problem['msg']}\n")
        raise SystemExit(2) from None


def run_service(
    settings: ServiceSettings,
    work: Callable[[Callable[[], None]], Coroutine[None, None, None]],
    refusals: tuple[type[Exception], ...] = (),
) -> None:
    """Run `work(ready)` until it ends or a SIGTERM or SIGINT cancels it; it calls `ready()` once it works.

    An exception of `refusals` is what an operator has to mend: it ends the process with its sentence alone.
    """
    configure_logs(settings.log_level)
    keep_cancellations()

    def ready() -> None:
        if settings.ready_file:
            settings.ready_file.touch()

    try:
        asyncio.run(_until_signalled(work(ready)))
    except refusals as refusal:
        raise SystemExit(str(refusal)) from None
    finally:
        if settings.ready_file:
            settings.ready_file.unlink(missing_ok=True)


async def _until_signalled(work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    asked_to_stop = False

    def stop() -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not asked_to_stop:
            raise


def configure_logs(level: str) -> None:
    """Log one line an event to standard error, through structlog and the standard library alike."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format='{"level": "%(levelname)s", "event": "%(message)s"}'
    )
