"""Which object in which bucket of which store."""

from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import SecretStr

AddressingStyle = Literal["virtual", "path"]

ENDPOINT_PATTERN: Final = r"^https?://[^/?#@]+/?$"


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object's place within a store.

    What is stored there is marked with its `owner`, if there is one, and only that owner replaces it.
    """

    bucket: str
    key: str
    owner: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccess:
    """How a store is reached, and by whom."""

    endpoint: str
    region: str
    access_key: SecretStr
    secret_key: SecretStr
    addressing_style: AddressingStyle = "virtual"
