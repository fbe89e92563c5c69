"""What can go wrong while a recording is packaged."""

from panoreel.contracts.media import Segment


class PackagingError(Exception):
    """The recording cannot be packaged; trying again would not help."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class NothingRecorded(PackagingError):
    """There is no media to package."""


class NothingReadable(PackagingError):
    """All that was recorded is damaged or missing."""


class SegmentDamaged(PackagingError):
    """A segment's content is not what was announced, or is not there."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(f"segment {segment.index} of epoch {segment.epoch} is damaged or missing")
        self.segment = segment


class ParameterSetsDiffer(PackagingError):
    """The segments' encoders were set up differently: they cannot be joined without re-encoding."""
