"""The kinds of field that parameters consist of, each with its check and its JSON Schema."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from annotated_types import GroupedMetadata
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from panoreel.contracts.identifiers import PUBLIC_TASK_ID_PATTERN
from panoreel.contracts.urls import check_http_url
from panoreel.dispatch.parameters.errors import InvalidParam, sentence

MAX_URL_LENGTH: Final = 8192
MAX_TEXT_LENGTH: Final = 2**19
"""As long as a request's body may be."""

_TASK_ID: Final = re.compile(PUBLIC_TASK_ID_PATTERN.removesuffix("$"))
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


class Parameters(BaseModel):
    """A JSON object. By default unknown fields are refused; null stands for a field that is left out."""

    # With any limit of length, pydantic refuses lone surrogates too, which no JSON can be written with.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        str_max_length=MAX_TEXT_LENGTH,
        use_attribute_docstrings=True,
    )

    def __repr_args__(self) -> tuple[()]:
        """Nothing: almost any field can be a secret."""
        return ()

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Check an action's `Data`.

        Raises:
            InvalidParam: naming the first wrong field.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise InvalidParam(sentence(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            name: value for name, value in data.items() if value is not None or name not in cls.model_fields
        }


@dataclass(frozen=True)
class InRange(GroupedMetadata):
    """A JSON number from `low` to `high`, whole if both are; neither a numeric string nor a boolean.

    With `or_zero`, 0 is one too: it stands for the default, as in the original's parameters.
    """

    low: float
    high: float
    or_zero: bool = False

    def __iter__(self) -> Iterator[object]:
        """What pydantic applies, in order."""
        whole = isinstance(self.low, int)
        yield BeforeValidator(_number)
        yield AfterValidator(self._check)
        schema = {"type": "integer" if whole else "number", "minimum": self.low, "maximum": self.high}
        yield WithJsonSchema({"anyOf": [schema, {"const": 0}]} if self.or_zero else schema)

    def _check(self, value: float) -> float:
        if self.low <= value <= self.high or (self.or_zero and value == 0):
            return value
        zero = "0 or " if self.or_zero else ""
        raise ValueError(f"must be {zero}in range [{self.low:.15g}, {self.high:.15g}]")


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    # A large float such as 1e300 is a whole number too, which pydantic would not have for one.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _task_id(value: str) -> str:
    if _TASK_ID.fullmatch(value):
        return value
    raise ValueError("must consist of 1 to 64 letters, digits, '_' or '-'")


def _url_or_empty(value: str) -> str:
    return value and check_http_url(value)


def _printable_ascii(value: str) -> str:
    if _UNPRINTABLE.search(value):
        raise ValueError("must consist of printable ASCII characters")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain line breaks or other control characters")
    return value


PublicTaskId = Annotated[
    str, AfterValidator(_task_id), WithJsonSchema({"type": "string", "pattern": PUBLIC_TASK_ID_PATTERN})
]
HttpUrl = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(check_http_url)]
OptionalHttpUrl = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(_url_or_empty)]
"""Empty when there is none."""

UserAgentText = Annotated[str, Field(max_length=512), AfterValidator(_printable_ascii)]
Title = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
