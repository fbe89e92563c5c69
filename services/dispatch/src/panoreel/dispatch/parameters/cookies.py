"""Cookies as a caller gives them, held to what Chromium sets: it drops some of the others without a word."""

import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, model_validator

from panoreel.contracts.browser import Cookie
from panoreel.dispatch.parameters.fields import InRange, OptionalHttpUrl, Parameters

MAX_COOKIES: Final = 1000
MAX_COOKIE_BYTES: Final = 4096
"""A cookie's name and value together (RFC 6265bis §5.6)."""

MAX_EXPIRES_S: Final = 253_402_300_799
"""The last second of the year 9999."""

_LABEL: Final = r"[^\x00-\x20\x7f./:;@\\?#%\[\]]{1,63}"
_DOMAIN: Final = re.compile(rf"\.?({_LABEL}\.)*{_LABEL}|\[[0-9A-Fa-f:.]+\]")
_PATH: Final = re.compile(r"/[^\x00-\x1f\x7f;]*")
_NOT_IN_NAME: Final = re.compile(r"[\x00-\x1f\x7f;=]")
_NOT_IN_VALUE: Final = re.compile(r"[\x00-\x1f\x7f;]")


def _name(value: str) -> str:
    if _NOT_IN_NAME.search(value) or value != value.strip(" "):
        raise ValueError("must not contain ';', '=', control characters or blanks around it")
    return value


def _value(value: str) -> str:
    if _NOT_IN_VALUE.search(value) or value != value.strip(" "):
        raise ValueError("must not contain ';', control characters or blanks around it; percent-encode them")
    return value


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value):
        raise ValueError("must be a host name such as example.com, or .example.com for its subdomains too")
    return value


def _path(value: str) -> str:
    if value and not _PATH.fullmatch(value):
        raise ValueError("must begin with / and not contain ';' or control characters")
    return value


CookieName = Annotated[str, Field(min_length=1), AfterValidator(_name)]
CookieValue = Annotated[str, AfterValidator(_value)]
CookieDomain = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_domain)]
CookiePath = Annotated[str, Field(max_length=1024), AfterValidator(_path)]
CookieExpires = Annotated[float, InRange(-1.0, MAX_EXPIRES_S)]
"""Unix seconds; with -1 or 0 the cookie lives as long as its browser."""


def checked(cookie: Cookie) -> Cookie:
    """The cookie itself, if Chromium sets it (RFC 6265bis §4.1.3 and §5.6).

    Raises:
        ValueError: a sentence for the user that does not repeat the value.
    """
    if len(cookie.name.encode()) + len(cookie.value.encode()) > MAX_COOKIE_BYTES:
        raise ValueError(f"must not have more than {MAX_COOKIE_BYTES} bytes of name and value")
    if cookie.same_site == "None" and not cookie.secure:
        raise ValueError("has SameSite None, for which it must be Secure")
    prefix = cookie.name.lower()
    if prefix.startswith(("__secure-", "__host-")) and not cookie.secure:
        raise ValueError("has a name that begins with __Secure- or __Host-, for which it must be Secure")
    if prefix.startswith("__host-") and (cookie.path != "/" or cookie.domain.startswith(".")):
        raise ValueError("has a name that begins with __Host-, for which it belongs to one host and Path /")
    return cookie


class CookieParameters(Parameters):
    """An entry of `Data.Browser.Cookies`. Of `Domain` and `Url`, whose host it then is, one is needed."""

    Name: CookieName
    Value: CookieValue
    Domain: CookieDomain | None = None
    Url: OptionalHttpUrl = ""
    Path: CookiePath = ""
    Expires: CookieExpires = -1
    HttpOnly: StrictBool = False
    Secure: StrictBool = False
    SameSite: Literal["Strict", "Lax", "None"] | None = None

    @model_validator(mode="after")
    def _is_settable(self) -> Self:
        if bool(self.Domain) == bool(self.Url):
            raise ValueError("must have either a Domain or a Url")
        checked(self.cookie())
        return self

    def cookie(self) -> Cookie:
        """What the browser is given."""
        return Cookie(
            name=self.Name,
            value=self.Value,
            domain=self.Domain or _host(self.Url),
            path=self.Path or "/",
            expires=self.Expires if self.Expires > 0 else None,
            http_only=self.HttpOnly,
            secure=self.Secure,
            same_site=self.SameSite,
        )


def _host(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host
