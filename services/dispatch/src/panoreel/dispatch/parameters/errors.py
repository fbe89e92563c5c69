"""What is said to a caller whose parameters are wrong: the field by its path, and the way out."""

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_SHOWN_FIELD: Final = 100

_SENTENCES: Final = {
    "missing": "missing",
    "extra_forbidden": "is not a parameter of this action; check its spelling or leave it out",
    "string_type": "must be a string",
    "string_unicode": "must consist of Unicode characters",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a whole number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "literal_error": "must be {expected}",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must not have more than {max_length} entries",
    "string_too_long": "must not be longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "value_error": "{error}",
}
"""pydantic's type of error → what follows the field's name."""


class InvalidParam(Exception):
    """A parameter is missing or wrong."""


def sentence(error: ValidationError) -> str:
    """The first problem, for the caller; it names the field and never repeats the value."""
    problem = error.errors(include_url=False, include_input=False)[0]
    said = _SENTENCES.get(problem["type"])
    if said is None:
        return f"{_path(problem)}: {problem['msg']}"
    return f"{_path(problem)} {said.format(**problem.get('ctx', {}))}".strip()


def _path(problem: ErrorDetails) -> str:
    """Such as `Browser.Cookies[0].Name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return "".join(parts).removeprefix(".")[:MAX_SHOWN_FIELD]
