"""The recorder's entry: settings and wiring."""

from panoreel.blobs.errors import BlobsUnavailable, StorageMissing
from panoreel.recorder.settings import RecorderSettings
from panoreel.recorder.udp import UdpNotFiltered
from panoreel.recorder.worker import work
from panoreel.runtime.service import load_settings, run_service


def main() -> None:
    """Claim tasks and record them until told to stop."""
    settings = load_settings(RecorderSettings)
    refusals = (BlobsUnavailable, StorageMissing, UdpNotFiltered)
    run_service(settings, lambda ready: work(settings, ready), refusals)
