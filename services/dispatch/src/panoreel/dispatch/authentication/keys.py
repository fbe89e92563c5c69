"""The keys that may call the API."""

import re
from collections import Counter
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from panoreel.dispatch.authentication.errors import KeyFileError

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def _without_control(value: str) -> str:
    if _CONTROL.search(value):
        # PostgreSQL cannot store a NUL (its manual, §8.3), and no name needs the others.
        raise ValueError("must not contain control characters")
    return value


ApplicationName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_without_control)]
Secrets = Annotated[tuple[Annotated[SecretStr, Field(min_length=1)], ...], Field(min_length=1, max_length=2)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Key(_Entry):
    """A caller's key.

    Every secret is valid: the current one and, while it is being replaced, the previous one. `paths` are the
    only ones that the key may call; None stands for all. `rate_limit` is in requests a second; None stands
    for the deployment's.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    secrets: Secrets
    application: ApplicationName
    admin: bool = False
    kind: Literal["application", "key_pair"] = "application"
    enabled: bool = True
    paths: tuple[str, ...] | None = None
    rate_limit: Annotated[int, Field(ge=1)] | None = None

    def may_call(self, path: str) -> bool:
        """Whether the key is bound to this path."""
        return self.paths is None or path in self.paths


class Keys(_Entry):
    """All keys; an id is unique across both kinds, so that it tells the scheme."""

    keys: tuple[Key, ...]

    @field_validator("keys")
    @classmethod
    def _unique(cls, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        repeated = [key_id for key_id, count in Counter(key.id for key in keys).items() if count > 1]
        if repeated:
            raise ValueError(f"more than one entry has the id {', '.join(repeated)}")
        return keys

    def find(self, key_id: str) -> Key | None:
        """The key of this id, enabled or not."""
        return next((key for key in self.keys if key.id == key_id), None)


def parse_keys(text: bytes) -> Keys:
    """Read the JSON `{"keys": [{"id": …, "secrets": […], "application": …, …}]}`.

    Raises:
        KeyFileError: names each wrong entry and field, as in `keys[0].secrets`.
    """
    try:
        return Keys.model_validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise KeyFileError(
            "; ".join(_sentence(problem["loc"], problem["msg"]) for problem in problems)
        ) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    sentence = message.removeprefix("Value error, ")
    return f"{place[1:]}: {sentence}" if place else sentence
