"""Dispatch's settings."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from panoreel.runtime.settings import ServiceSettings


def _loopback(host: str) -> str:
    if host == "localhost" or ip_address(host).is_loopback:
        return host
    raise ValueError("the API has no authentication yet, so it binds loopback only: use 127.0.0.1 or ::1")


class DispatchSettings(ServiceSettings):
    """What dispatch needs besides the shared settings."""

    postgres_dsn: SecretStr = Field(description="postgresql://user:password@host:port/database")
    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys; the first one seals")
    host: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
