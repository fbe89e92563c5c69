"""Dispatch's settings."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from panoreel.dispatch.authentication.dates import KeyPairDates
from panoreel.runtime.settings import ServiceSettings


def _loopback(host: str) -> str:
    if host == "localhost" or ip_address(host).is_loopback:
        return host
    raise ValueError("the API binds loopback only, until a task belongs to whoever started it: use 127.0.0.1")


class DispatchSettings(ServiceSettings):
    """What dispatch needs besides the shared settings."""

    postgres_dsn: SecretStr = Field(description="postgresql://user:password@host:port/database")
    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys; the first one seals")
    host: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    key_file: Path | None = Field(
        default=None, description="the keys that may call the API; without, anybody"
    )
    sign_strip_prefix: str = Field(default="", description="a path prefix that clients do not sign")
    key_pair_dates: KeyPairDates = "strict"
    show_string_to_sign: bool = Field(default=False, description="helps to debug a client's signature")
