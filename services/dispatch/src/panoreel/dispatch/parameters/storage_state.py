"""What Playwright exports of a browser in which somebody has logged in, as `Data.Browser.StorageState`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, model_validator

from panoreel.contracts.browser import Cookie, SameSite
from panoreel.contracts.urls import check_http_url
from panoreel.dispatch.parameters.cookies import (
    MAX_COOKIES,
    CookieDomain,
    CookieExpires,
    CookieName,
    CookiePath,
    CookieValue,
    checked,
)
from panoreel.dispatch.parameters.fields import Parameters

MAX_ORIGINS: Final = 100
MAX_ITEMS: Final = 1000


def _origin(value: str) -> str:
    parts = urlsplit(check_http_url(value))
    if parts.path or "?" in value or "#" in value or "@" in parts.netloc:
        raise ValueError("must be an origin such as https://example.com, without a path")
    return value


def _no_databases(value: object) -> object:
    if value not in (None, [], ()):
        raise ValueError("cannot be restored in this version; export the state without it")
    return value


class StoredCookie(Parameters):
    """A cookie as Playwright exports it."""

    name: CookieName
    value: CookieValue
    domain: CookieDomain
    path: CookiePath = "/"
    expires: CookieExpires = -1
    httpOnly: StrictBool = False
    secure: StrictBool = False
    sameSite: Literal["Strict", "Lax", "None"] | None = None

    @model_validator(mode="after")
    def _is_settable(self) -> Self:
        checked(self.cookie())
        return self

    def cookie(self) -> Cookie:
        """What the browser is given."""
        return Cookie(
            name=self.name,
            value=self.value,
            domain=self.domain,
            path=self.path or "/",
            expires=self.expires if self.expires > 0 else None,
            http_only=self.httpOnly,
            secure=self.secure,
            same_site=self._same_site(),
        )

    def _same_site(self) -> SameSite | None:
        # Firefox and WebKit export None for a cookie that says nothing of it, which Chromium would drop.
        return None if self.sameSite == "None" and not self.secure else self.sameSite


class StoredItem(Parameters):
    """An entry of localStorage."""

    name: str
    value: str


class StoredOrigin(Parameters):
    """What an origin's pages find in localStorage."""

    origin: Annotated[str, Field(max_length=300), AfterValidator(_origin)]
    localStorage: Annotated[tuple[StoredItem, ...], Field(max_length=MAX_ITEMS)] = ()
    indexedDB: Annotated[tuple[Any, ...], BeforeValidator(_no_databases)] = ()


class StorageStateParameters(Parameters):
    """What `storage_state()` returns; without `indexedDB`."""

    cookies: Annotated[tuple[StoredCookie, ...], Field(max_length=MAX_COOKIES)] = ()
    origins: Annotated[tuple[StoredOrigin, ...], Field(max_length=MAX_ORIGINS)] = ()

    @model_validator(mode="after")
    def _origins_once(self) -> Self:
        if len(self.local_storage()) < len(self.origins):
            raise ValueError("must not name an origin twice")
        return self

    def local_storage(self) -> Mapping[str, dict[str, str]]:
        """Origin → what is in its localStorage."""
        return {
            stored.origin: {item.name: item.value for item in stored.localStorage} for stored in self.origins
        }
