"""The transcoder's settings."""

from pydantic import Field, SecretStr

from panoreel.blobs.settings import BlobSettings


class TranscoderSettings(BlobSettings):
    """What the transcoder needs besides the shared settings."""

    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys that unseal secrets")
