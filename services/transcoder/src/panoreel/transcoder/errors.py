"""What can go wrong while a recording is packaged."""


class PackagingError(Exception):
    """The recording cannot be packaged; trying again would not help."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class NothingRecorded(PackagingError):
    """There is no media to package."""


class SegmentDamaged(PackagingError):
    """A segment's content is not what was announced."""


class ParameterSetsDiffer(PackagingError):
    """The segments' encoders were set up differently: they cannot be joined without re-encoding."""
