"""What can go wrong with the log, and with those who react to it."""


class EventLogError(Exception):
    """The event log could not do this."""


class Conflict(EventLogError):
    """Another writer was first: the task has moved on."""


class Contention(EventLogError):
    """The task kept changing while a decision was made; try again."""


class LogUnavailable(EventLogError):
    """The event log did not answer in time."""


class LogGap(EventLogError):
    """The log is not the one that was read before, or a part of it is missing."""


class SecretsUnavailable(EventLogError):
    """The task's sealed parameters are gone, or were sealed with a key that is not configured here."""


class Transient(Exception):
    """The work cannot be done now, but it may be later."""


class Permanent(Exception):
    """The work can never be done. `code` and the message are for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
