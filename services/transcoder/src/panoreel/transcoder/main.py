"""The transcoder's entry: settings and wiring."""

from panoreel.blobs.errors import BlobsUnavailable
from panoreel.runtime.service import load_settings, run_service
from panoreel.transcoder.settings import TranscoderSettings
from panoreel.transcoder.worker import work


def main() -> None:
    """Package stopped recordings until told to stop."""
    settings = load_settings(TranscoderSettings)
    run_service(settings, lambda ready: work(settings, ready), refusals=(BlobsUnavailable,))
