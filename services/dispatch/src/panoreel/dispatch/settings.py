"""Dispatch's settings."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from panoreel.contracts.events import StorageType
from panoreel.contracts.names import REGION_PATTERN
from panoreel.dispatch.authentication.dates import KeyPairDates
from panoreel.dispatch.parameters.deployment import Deployment, Target
from panoreel.dispatch.parameters.encryption import HlsKeyMode
from panoreel.runtime.settings import ReachingSettings


class DispatchSettings(ReachingSettings):
    """What dispatch needs besides the shared settings."""

    postgres_dsn: SecretStr = Field(description="postgresql://user:password@host:port/database")
    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys; the first one seals")
    key_file: Path | None = Field(
        default=None, description="the keys that may call the API; without, anybody"
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    rate_limit: int = Field(default=500, ge=1, description="requests a second that one key may make")
    max_connections: int = Field(default=500, ge=1, description="open at once; more are told to come again")
    storage_types: tuple[StorageType, ...] = Field(
        default=("cfs",), min_length=1, description="where media may rest: what all other services have"
    )
    targets: tuple[Target, ...] = Field(
        default=("cos",), min_length=1, description="where results can go: what the uploader is set up for"
    )
    vod_sub_app_id: int | None = Field(default=None, ge=0, description="of results whose caller names none")
    vod_storage_region: str | None = Field(
        default=None, pattern=f"^{REGION_PATTERN}$", description="the same; default: VOD's own choice"
    )
    hls_key_mode: HlsKeyMode = Field(
        default="standard", description="legacy: EncryptKey is the first 16 bytes of its text"
    )
    sign_strip_prefix: str = Field(default="", description="a path prefix that clients do not sign")
    key_pair_dates: KeyPairDates = "strict"
    show_string_to_sign: bool = Field(default=False, description="helps to debug a client's signature")

    @field_validator("host")
    @classmethod
    def _only_keys_open_the_network(cls, host: str, info: ValidationInfo) -> str:
        """`key_file` is checked before: fields are in their order."""
        if host == "localhost" or _address(host).is_loopback or info.data.get("key_file"):
            return host
        raise ValueError(
            "without PANOREEL_KEY_FILE, anybody may call the API, so it binds loopback only:"
            " set a key file, or use 127.0.0.1"
        )

    @field_validator("vod_sub_app_id", "vod_storage_region")
    @classmethod
    def _only_where_vod_is(cls, value: int | str | None, info: ValidationInfo) -> int | str | None:
        if value is not None and "vod" not in info.data.get("targets", ()):
            raise ValueError('sends results to VOD: add "vod" to PANOREEL_TARGETS, or leave it out')
        return value

    @property
    def deployment(self) -> Deployment:
        """What callers may ask for."""
        return Deployment(
            allowed_networks=self.allowed_networks,
            storage_types=self.storage_types,
            targets=self.targets,
            hls_key_mode=self.hls_key_mode,
            vod_sub_app_id=self.vod_sub_app_id,
            vod_storage_region=self.vod_storage_region,
        )


def _address(host: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(host)
    except ValueError as error:
        raise ValueError(f"{host!r} is neither an address nor localhost") from error
