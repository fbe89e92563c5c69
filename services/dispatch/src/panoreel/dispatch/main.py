"""Dispatch's entry: settings and wiring."""

from panoreel.dispatch.authentication.errors import KeyFileError
from panoreel.dispatch.settings import DispatchSettings
from panoreel.dispatch.worker import work
from panoreel.runtime.service import load_settings, run_service


def main() -> None:
    """Serve the action API and keep the read model until told to stop."""
    settings = load_settings(DispatchSettings)
    run_service(settings, lambda ready: work(settings, ready), refusals=(KeyFileError,))
