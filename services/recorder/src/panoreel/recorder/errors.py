"""What can go wrong while a page is recorded."""

import re
from typing import Final

from panoreel.contracts.events import Program, Trouble

GONE: Final = (
    r"(?i)has been closed|(connection|session|target) closed|(page|target) crashed|frame was detached"
)
"""What Playwright says when there is nothing left that could open a page."""


def tells_end(message: str) -> bool:
    """Whether Playwright says in the `message` of an error that page, browser or driver has gone."""
    return re.search(GONE, message) is not None


class CaptureError(Exception):
    """The recording broke off; trying again may help."""

    code = "InternalErr"
    permanent = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class ProgramFailed(CaptureError):
    """A program that the recording needs did not start, or ended by itself."""


class PageCrashed(CaptureError):
    """The browser, or the page in it, crashed."""


class Accident(CaptureError):
    """What a recording consists of broke, and can be set up anew: `cause` is what broke."""

    def __init__(self, cause: Program | Trouble, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class PageError(CaptureError):
    """The page showed no content any more."""

    code = "PageError"
    permanent = True


class ServiceUserUnusable(CaptureError):
    """The service user that browser, display and sound server run as does not exist or has no access."""

    permanent = True


class PageRefused(CaptureError):
    """The page cannot be recorded, and trying again would not help."""

    permanent = True


class ManualStartTimeout(CaptureError):
    """The page did not call window.startRecord in time."""

    code = "ManualStartTimeout"
    permanent = True


class PauseTimeout(CaptureError):
    """The recording was paused before its first frame and not resumed in time."""

    code = "PauseTimeout"
    permanent = True


class SettingRefused(CaptureError):
    """The browser refuses a value of the caller's `Browser` settings."""

    code = "InvalidParam"
    permanent = True
