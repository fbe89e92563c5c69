"""`Data` of the actions on tasks that exist."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict
from pydantic.json_schema import WithJsonSchema

from panoreel.dispatch import beijing
from panoreel.dispatch.authentication.keys import ApplicationName
from panoreel.dispatch.parameters.fields import HttpUrl, InRange, Parameters, PublicTaskId

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
MAX_OFFSET: Final = 1_000_000_000


def _time(text: str) -> str:
    beijing.read(text)
    return text


Time = Annotated[
    str,
    AfterValidator(_time),
    WithJsonSchema({"type": "string", "pattern": beijing.PATTERN, "description": "in Asia/Shanghai"}),
]


class TaskParameters(Parameters):
    """`Data` of the actions on one task; other fields are ignored. An admin may say whose task it is."""

    # Programs that were written for the original send more, and nothing here could be misspelt at a cost.
    model_config = ConfigDict(extra="ignore")

    TaskID: PublicTaskId
    Application: ApplicationName | None = None


class RefreshParameters(TaskParameters):
    """`Data` of `Refresh`: with a `RecordURL`, that page is recorded from now on."""

    model_config = ConfigDict(extra="forbid")

    RecordURL: HttpUrl | None = None


class ListParameters(Parameters):
    """`Data` of `List`. Both times are inclusive, and compared with `CreateTime`."""

    Status: Literal["all", "running", "finished"]
    StartTime: Time | None = None
    EndTime: Time | None = None
    Offset: Annotated[int, InRange(0, MAX_OFFSET)] = 0
    Limit: Annotated[int, InRange(1, MAX_LIMIT)] = DEFAULT_LIMIT
    Application: ApplicationName | None = None

    @property
    def start(self) -> datetime | None:
        """`StartTime` as a time."""
        return None if self.StartTime is None else beijing.read(self.StartTime)

    @property
    def end(self) -> datetime | None:
        """`EndTime` as a time."""
        return None if self.EndTime is None else beijing.read(self.EndTime)
