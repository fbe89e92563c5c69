"""How a page is opened, beyond its URL: who its visitor is, and what browser they have.

All of it may be secret: it travels sealed, never in an event.
"""

from typing import Literal

from pydantic import Field

from panoreel.contracts.media import Frozen

MediaDevices = Literal["deny", "fake"]
"""What a page gets that asks for camera and microphone: a refusal, or a test picture and a beep."""

ColorScheme = Literal["light", "dark", "no-preference"]
SameSite = Literal["Strict", "Lax", "None"]


class Cookie(Frozen):
    """A cookie (RFC 6265bis). A `domain` with a leading dot includes subdomains; `expires`: Unix seconds."""

    name: str
    value: str = Field(repr=False)
    domain: str
    path: str = "/"
    expires: float | None = None
    http_only: bool = False
    secure: bool = False
    same_site: SameSite | None = None


class BrowserLook(Frozen):
    """What a browser is started with; None is Chromium's own."""

    user_agent: str | None = None
    locale: str | None = Field(default=None, description="a BCP 47 language tag such as zh-CN")
    timezone: str | None = Field(default=None, description="a name of the IANA time zone database")
    color_scheme: ColorScheme | None = None
    device_scale_factor: float = Field(default=1, description="device pixels for one CSS pixel")
    ignore_certificate_errors: bool = False
    media_devices: MediaDevices = "deny"


class BrowserSettings(BrowserLook):
    """What a caller may choose of the browser, and who its visitor is."""

    cookies: tuple[Cookie, ...] = Field(default=(), repr=False)
    headers: dict[str, str] = Field(
        default={}, repr=False, description="sent with each request to the origin of the recorded page"
    )
    local_storage: dict[str, dict[str, str]] = Field(
        default={}, repr=False, description="origin → what the page finds in localStorage"
    )

    @property
    def look(self) -> BrowserLook:
        """The part that must be known before the browser starts."""
        return BrowserLook.model_validate(self.model_dump(include=set(BrowserLook.model_fields)))
