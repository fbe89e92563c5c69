"""`Data` of Clip, an action beyond the original API."""

import math
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from panoreel.contracts.events import ClipRange
from panoreel.contracts.media import AUDIO_SAMPLE_RATE
from panoreel.dispatch.parameters.errors import InvalidParam
from panoreel.dispatch.parameters.fields import InRange, OptionalHttpUrl, Parameters, PublicTaskId
from panoreel.dispatch.parameters.output import ClipOutputParameters
from panoreel.dispatch.parameters.task import TaskParameters

MAX_RANGES: Final = 100
MAX_RANGE_END_S: Final = 100_000.0
"""Longer than any recording, whose `MaxDurationLimit` ends it before."""


class RangeParameters(Parameters):
    """From where until where to cut, in seconds of the recording's file."""

    Start: Annotated[float, InRange(0.0, MAX_RANGE_END_S)]
    End: Annotated[float, InRange(0.0, MAX_RANGE_END_S)]

    @field_validator("End")
    @classmethod
    def _after_its_start(cls, value: float, info: ValidationInfo) -> float:
        start = info.data.get("Start")
        if start is not None and value <= start:
            raise ValueError("must be after Start")
        return value


class ClipParameters(TaskParameters):
    """`Data` of `Clip`: `TaskID` is the recording to cut from, which may still run."""

    model_config = ConfigDict(extra="forbid")

    own_id_field: ClassVar = "ClipID"

    ClipID: PublicTaskId | None = None
    """The new task's id. The same request may then be repeated, and answers the same."""
    Ranges: Annotated[tuple[RangeParameters, ...], Field(min_length=1, max_length=MAX_RANGES)]
    """What is joined, in this order."""
    CallbackURL: OptionalHttpUrl = ""
    """Where the result is posted."""
    Output: ClipOutputParameters = ClipOutputParameters()

    @property
    def own_id(self) -> str | None:
        """What the caller calls the new task."""
        return self.ClipID

    def ranges(self, recorded_samples: int) -> tuple[ClipRange, ...]:
        """The ranges, of a recording that is so many audio samples long.

        Raises:
            InvalidParam: one of them goes beyond its end.
        """
        # Rounded down, so that what is told here can be asked for.
        recorded_s = math.floor(recorded_samples / AUDIO_SAMPLE_RATE * 1000) / 1000
        for number, asked in enumerate(self.Ranges):
            if asked.End > recorded_s:
                raise InvalidParam(
                    f"Ranges[{number}].End must not be after {recorded_s}, the seconds recorded so far"
                )
        return tuple(ClipRange(start_s=asked.Start, end_s=asked.End) for asked in self.Ranges)
