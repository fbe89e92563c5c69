"""Why a receiver did not acknowledge a result. No message holds the URL, whose parts may be secret."""


class AttemptFailed(Exception):
    """The receiver did not acknowledge the result this time."""


class NoFurtherAttempt(AttemptFailed):
    """The receiver never will acknowledge the result."""
