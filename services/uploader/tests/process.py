"""The uploader as it is deployed: a process of its own."""

import subprocess
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from panoreel.uploader.settings import UploaderSettings
from tests.servers.service import running_service


def variables(settings: UploaderSettings) -> dict[str, str]:
    """The settings as they are given to the process."""
    return {
        "PANOREEL_NATS_URL": settings.nats_url.get_secret_value(),
        "PANOREEL_BLOBS_DIR": str(settings.blobs_dir),
        "PANOREEL_S3_ENDPOINT": settings.s3_endpoint,
        "PANOREEL_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "PANOREEL_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "PANOREEL_S3_BUCKET": settings.s3_bucket,
        "PANOREEL_S3_REGION": settings.s3_region,
        "PANOREEL_S3_ADDRESSING_STYLE": "path",
    }


def service(
    settings: UploaderSettings, directory: Path
) -> AbstractAsyncContextManager[subprocess.Popen[bytes]]:
    """A service that is ready; it is killed in the end."""
    return running_service("uploader", variables(settings), directory)
