"""A service as it is deployed: a process of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

READY_TIMEOUT_S = 60
POLL_S = 0.05


@asynccontextmanager
async def running_service(
    name: str, settings: Mapping[str, str], directory: Path
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The service `panoreel.<name>` with these variables, once it is ready; it is killed in the end.

    It logs to the file `log` in `directory`.
    """
    ready_file, log = directory / "ready", directory / "log"
    env = {**os.environ, **settings, "PANOREEL_READY_FILE": str(ready_file)}
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-m", f"panoreel.{name}"], env=env, stderr=output)
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not ready_file.exists():
                assert process.poll() is None, log.read_text()
                await asyncio.sleep(POLL_S)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
        ready_file.unlink(missing_ok=True)
