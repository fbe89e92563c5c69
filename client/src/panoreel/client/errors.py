"""What a call can end with. A message is a sentence for people; programs look at the class or at `code`."""


class PanoreelError(Exception):
    """Any failure of a call. `code` is the API's `ErrorCode`, or the name of the class when it gave none."""

    def __init__(self, message: str, *, code: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).__name__
        self.request_id = request_id
        """What the server's log calls the request."""


class InvalidParam(PanoreelError):
    """A field is missing or wrong, or there is no such task: the message names it."""


class InvalidStatus(PanoreelError):
    """The task's status does not allow the action."""


class InternalError(PanoreelError):
    """The server could not carry the request out now; nothing was lost, try again."""


class Unauthorized(PanoreelError):
    """The request is not signed, or not by a key that may make it."""


class RateLimited(PanoreelError):
    """The key makes too many requests. `retry_after_s` is what the server asks for, if it does."""

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after_s = retry_after_s


class Unreachable(PanoreelError):
    """Nobody answers. When `sent`, the server may have done what was asked."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class UnexpectedAnswer(PanoreelError):
    """Somebody answers, but not as a Panoreel API does: the address is most likely another server's."""


class TimedOut(PanoreelError, TimeoutError):
    """The recording did not get where it was awaited in the given time; it goes on all the same."""


class DownloadFailed(PanoreelError):
    """A finished video could not be fetched in full."""
