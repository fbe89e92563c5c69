"""`Data.Browser`: as whom, and with what browser, a page behind a login is opened.

It is an addition to the original API. All of it may be secret, so no value is ever repeated to anybody.
"""

import re
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from panoreel.contracts.browser import BrowserSettings
from panoreel.dispatch.parameters.cookies import MAX_COOKIES, CookieParameters
from panoreel.dispatch.parameters.fields import InRange, Parameters, UserAgentText
from panoreel.dispatch.parameters.storage_state import StorageStateParameters

MAX_HEADERS: Final = 50
MAX_HEADER_LENGTH: Final = 8192

_INSTEAD: Final = {
    "cookie": "; use Cookies",
    "user-agent": "; use UserAgent",
    "accept-language": "; use Locale",
}
_BROWSERS_OWN: Final = re.compile(
    "accept-(charset|encoding|language)|access-control-request-(headers|method)|connection"
    "|content-(encoding|length|type)|cookie2?|date|expect|host|http2-settings|keep-alive|origin|proxy-.*|range"
    "|sec-.*|set-cookie|te|trailer|transfer-encoding|upgrade|user-agent|via"
)
"""What the browser has to say by itself: most are forbidden to scripts too (Fetch §2.2.2)."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_FIELD_VALUE: Final = re.compile(r"([\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?)?")
_LANGUAGE: Final = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
    r"(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*"
)
"""Language, script, region, variants and extensions (RFC 5646 §2.1): the tags that Chromium takes."""

_TIMEZONES: Final = frozenset(available_timezones())


def _header_names(headers: object) -> object:
    """Before anything else: a name that is none may be a secret in the wrong place, and is not repeated."""
    if not isinstance(headers, dict):
        return headers
    if not all(isinstance(name, str) and _TOKEN.fullmatch(name) for name in headers):
        raise ValueError(
            "must have names of 1 to 128 letters, digits and hyphens (a token of RFC 9110 §5.6.2)"
        )
    lowered = [name.lower() for name in headers]
    if len(set(lowered)) < len(lowered):
        raise ValueError("must not name a header twice; upper and lower case are the same")
    for name in lowered:
        if _BROWSERS_OWN.fullmatch(name):
            raise ValueError(f"must not set {name}, which is the browser's own{_INSTEAD.get(name, '')}")
    return headers


def _field_value(value: str) -> str:
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError("must consist of printable ASCII characters, without blanks around them")
    return value


def _locale(value: str) -> str:
    if value and not _LANGUAGE.fullmatch(value):
        raise ValueError("must be a language tag of BCP 47, such as zh-CN")
    return value


def _timezone(value: str) -> str:
    if value and value not in _TIMEZONES:
        raise ValueError("must be a name of the IANA time zone database, such as Asia/Shanghai")
    return value


HeaderFields = Annotated[
    dict[str, Annotated[str, Field(max_length=MAX_HEADER_LENGTH), AfterValidator(_field_value)]],
    Field(max_length=MAX_HEADERS),
    BeforeValidator(_header_names),
]


class BrowserParameters(Parameters):
    """Who the page's visitor is, and what browser they have."""

    Cookies: Annotated[tuple[CookieParameters, ...], Field(max_length=MAX_COOKIES)] = ()
    Headers: HeaderFields = Field(default_factory=dict)
    """Sent with each request to the origin of `RecordURL`, and to no other."""
    UserAgent: UserAgentText = ""
    StorageState: StorageStateParameters = StorageStateParameters()
    """What Playwright's `storage_state()` exports."""
    Locale: Annotated[str, Field(max_length=35), AfterValidator(_locale)] = ""
    """A language tag of BCP 47, such as zh-CN."""
    Timezone: Annotated[str, Field(max_length=64), AfterValidator(_timezone)] = ""
    """A name of the IANA time zone database, such as Asia/Shanghai."""
    ColorScheme: Literal["light", "dark", "no-preference"] | None = None
    DeviceScaleFactor: Annotated[float, InRange(0.5, 4)] = 1
    """Device pixels for one CSS pixel; the video keeps its size."""
    IgnoreCertificateErrors: StrictBool = False
    MediaDevices: Literal["deny", "fake"] = "deny"
    """What a page gets that asks for camera and microphone: a refusal, or a test picture and a beep."""

    def settings(self, user_agent: str) -> BrowserSettings:
        """What the recorder gets; `user_agent` holds if these parameters have none.

        Where the state has a cookie too, the one of `Cookies` comes after it and therefore wins.
        """
        stored = tuple(cookie.cookie() for cookie in self.StorageState.cookies)
        return BrowserSettings(
            cookies=stored + tuple(cookie.cookie() for cookie in self.Cookies),
            headers=self.Headers,
            local_storage=dict(self.StorageState.local_storage()),
            user_agent=self.UserAgent or user_agent or None,
            locale=self.Locale or None,
            timezone=self.Timezone or None,
            color_scheme=self.ColorScheme,
            device_scale_factor=self.DeviceScaleFactor,
            ignore_certificate_errors=self.IgnoreCertificateErrors,
            media_devices=self.MediaDevices,
        )
