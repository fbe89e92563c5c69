"""The uploader as it is deployed: a process of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from panoreel.uploader.settings import UploaderSettings


def environment(settings: UploaderSettings) -> dict[str, str]:
    """The settings as variables."""
    return os.environ | {
        "PANOREEL_NATS_URL": settings.nats_url.get_secret_value(),
        "PANOREEL_BLOBS_DIR": str(settings.blobs_dir),
        "PANOREEL_S3_ENDPOINT": settings.s3_endpoint,
        "PANOREEL_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "PANOREEL_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "PANOREEL_S3_BUCKET": settings.s3_bucket,
        "PANOREEL_S3_REGION": settings.s3_region,
        "PANOREEL_S3_ADDRESSING_STYLE": "path",
    }


@asynccontextmanager
async def service(settings: UploaderSettings, directory: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A service that is ready; it is killed in the end."""
    ready_file = directory / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "panoreel.uploader"],
        env=environment(settings) | {"PANOREEL_READY_FILE": str(ready_file)},
    )
    try:
        async with asyncio.timeout(60):
            while not ready_file.exists():
                assert process.poll() is None
                await asyncio.sleep(0.05)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
        ready_file.unlink(missing_ok=True)
