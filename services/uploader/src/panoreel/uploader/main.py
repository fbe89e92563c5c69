"""The uploader's entry: settings and wiring."""

from panoreel.blobs.errors import BlobsUnavailable
from panoreel.runtime.service import load_settings, run_service
from panoreel.uploader.settings import UploaderSettings
from panoreel.uploader.worker import work


def main() -> None:
    """Ship what the transcoder packages until told to stop."""
    settings = load_settings(UploaderSettings)
    run_service(settings, lambda ready: work(settings, ready), refusals=(BlobsUnavailable,))
