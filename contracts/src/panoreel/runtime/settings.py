"""Settings that every service has; each adds its own. They come from `PANOREEL_…` variables."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from panoreel.reach.addresses import Networks


class ServiceSettings(BaseSettings):
    """The part that all services share. Built once, in `main`, and passed down."""

    model_config = SettingsConfigDict(
        env_prefix="PANOREEL_", frozen=True, extra="forbid", hide_input_in_errors=True, env_ignore_empty=True
    )

    nats_url: SecretStr = Field(description="nats://user:password@host:port")
    ready_file: Path | None = Field(default=None, description="is created once the service works")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class ReachingSettings(ServiceSettings):
    """The part of those that go where a caller's URL leads."""

    allowed_networks: Networks = Field(
        default=(),
        description='may be reached although they are not public: a JSON list such as ["10.1.0.0/16"]',
    )
