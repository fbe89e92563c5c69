"""Threads whose end can be awaited."""

import asyncio
import threading
from collections.abc import Callable


def in_thread(work: Callable[[], None], name: str) -> asyncio.Future[None]:
    """Run `work` in a thread that does not keep the process from exiting."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[None] = loop.create_future()
    outcome.add_done_callback(lambda done: done.exception())  # it may be of no interest to anybody

    def tell(error: BaseException | None) -> None:
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except Exception as caught:  # noqa: BLE001  handed over to whoever awaits the outcome
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
