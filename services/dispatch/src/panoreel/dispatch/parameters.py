"""What a caller may ask for, checked field by field; a wrong field is named, with the way out.

Names, defaults and ranges are those of Tencent Cloud's panoramic recording API (document 1219/66139).
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from panoreel.contracts.events import OutputRequest
from panoreel.contracts.identifiers import PUBLIC_TASK_ID_PATTERN
from panoreel.contracts.urls import check_http_url

DEFAULT_WIDTH: Final = 1280
DEFAULT_HEIGHT: Final = 720
DEFAULT_DURATION_S: Final = 21_600
MAX_SIDE: Final = 2560
MAX_DURATION_S: Final = 36_000
MAX_SHOWN_FIELD: Final = 100


class InvalidParam(Exception):
    """A parameter is missing or wrong."""


def _whole_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return value


def _not_yet(value: object) -> object:
    if value not in (None, "", False):
        raise ValueError("is not available in this version; leave it out")
    return None


def _empty_is_unset(value: object) -> object:
    return None if value == "" else value


HttpUrl = Annotated[str, Field(max_length=8192), AfterValidator(check_http_url)]
NotYet = Annotated[None, BeforeValidator(_not_yet)]


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class CosParameters(_Parameters):
    """Where an object store puts the result."""

    Domain: str | None = None
    Bucket: str | None = None
    Region: str | None = None
    TargetDir: str | None = None
    TargetName: str | None = None


class VideoParameters(_Parameters):
    """The result's format."""

    Muxer: Literal["mp4"] = "mp4"
    EncryptKey: NotYet = None
    EncryptIv: NotYet = None
    AuthUrl: NotYet = None


class OutputParameters(_Parameters):
    """What is to become of the recording."""

    Cos: CosParameters = CosParameters()
    Video: VideoParameters = VideoParameters()
    Vod: NotYet = None


class StartParameters(_Parameters):
    """`Data` of `Start`. A width, height or limit of 0 stands for the default."""

    RecordURL: HttpUrl
    Width: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=MAX_SIDE)] = 0
    Height: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=MAX_SIDE)] = 0
    CallbackURL: Annotated[HttpUrl | None, BeforeValidator(_empty_is_unset)] = None
    MaxDurationLimit: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=MAX_DURATION_S)] = 0
    StorageType: Literal["cfs"] = "cfs"
    Output: OutputParameters = OutputParameters()
    ManualStart: NotYet = None
    Headers: NotYet = None
    PageTitle: NotYet = None

    def output_request(self) -> OutputRequest:
        """The part that the uploader reads."""
        cos = self.Output.Cos
        return OutputRequest(
            muxer=self.Output.Video.Muxer,
            bucket=cos.Bucket or None,
            region=cos.Region or None,
            domain=cos.Domain or None,
            target_dir=cos.TargetDir or None,
            target_name=cos.TargetName or None,
        )


class TaskParameters(_Parameters):
    """`Data` of the actions on one task."""

    TaskID: Annotated[str, Field(pattern=PUBLIC_TASK_ID_PATTERN)]


def parse_start(data: dict[str, Any]) -> StartParameters:
    """Check `Data` of `Start`.

    Raises:
        InvalidParam: naming the first wrong field.
    """
    try:
        return StartParameters.model_validate(data)
    except ValidationError as error:
        raise InvalidParam(_sentence(error)) from None


def parse_task_id(data: dict[str, Any]) -> str:
    """The `TaskID` in `Data`.

    Raises:
        InvalidParam: it is missing or malformed.
    """
    try:
        return TaskParameters.model_validate(data).TaskID
    except ValidationError as error:
        raise InvalidParam(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"])[:MAX_SHOWN_FIELD]
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{field} missing"
        case "extra_forbidden":
            return f"{field} is not a parameter of this action; check its spelling or leave it out"
        case "greater_than_equal" | "less_than_equal":
            highest = MAX_DURATION_S if field == "MaxDurationLimit" else MAX_SIDE
            return f"{field} must be in range [0, {highest}]"
        case "int_from_float" | "finite_number":
            return f"{field} must be a whole number"
        case "string_type":
            return f"{field} must be a string"
        case "model_type":
            return f"{field} must be a JSON object"
        case "literal_error":
            return f"{field} must be {context['expected']} in this version"
        case "string_pattern_mismatch":
            return f"{field} must consist of 1 to 64 letters, digits, '_' or '-'"
        case "value_error":
            return f"{field} {context['error']}"
        case _:
            return f"{field}: {problem['msg']}"
