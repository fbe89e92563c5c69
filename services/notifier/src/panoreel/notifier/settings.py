"""The notifier's settings."""

from pydantic import Field, SecretStr

from panoreel.runtime.settings import ReachingSettings


class NotifierSettings(ReachingSettings):
    """What the notifier needs besides the shared settings."""

    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys that unseal secrets")
