"""The notifier's entry: settings and wiring."""

from panoreel.notifier.settings import NotifierSettings
from panoreel.notifier.worker import work
from panoreel.runtime.service import load_settings, run_service


def main() -> None:
    """Tell receivers how their tasks ended until told to stop."""
    settings = load_settings(NotifierSettings)
    run_service(settings, lambda ready: work(settings, ready))
