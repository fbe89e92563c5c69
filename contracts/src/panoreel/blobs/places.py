"""Which object in which bucket of which store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, Literal

from pydantic import SecretStr

AddressingStyle = Literal["virtual", "path"]

ENDPOINT_PATTERN: Final = r"^https?://[^/?#@]+/?$"

_CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".mp4": "video/mp4",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object's place within a store.

    What is stored there is marked with its `owner`, if there is one, and only that owner replaces it.
    """

    bucket: str
    key: str
    owner: str = field(default="", kw_only=True)

    @property
    def content_type(self) -> str:
        """What its name says that it is (IANA; RFC 8216 §4 for playlists)."""
        return _CONTENT_TYPES.get(PurePosixPath(self.key).suffix, "application/octet-stream")

    @property
    def cache_control(self) -> str | None:
        """Playlists grow: a cache must ask whether the one it keeps is still the same (RFC 9111 §5.2.2.4)."""
        return "no-cache" if self.key.endswith(".m3u8") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccess:
    """How a store is reached, and by whom."""

    endpoint: str
    region: str
    access_key: SecretStr
    secret_key: SecretStr
    addressing_style: AddressingStyle = "virtual"
    session_token: SecretStr | None = None
    """What goes with temporary keys."""
