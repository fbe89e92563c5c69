"""The uploader's settings."""

from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from panoreel.blobs.places import ENDPOINT_PATTERN, AddressingStyle
from panoreel.blobs.settings import BlobSettings
from panoreel.contracts.names import BUCKET_PATTERN, REGION_PATTERN

MAX_PRESIGNED_S: Final = 604_800
"""How long a presigned URL may be good (S3 user guide, "Sharing objects with presigned URLs")."""


class UploaderSettings(BlobSettings):
    """What the uploader needs besides the shared settings. A task's own bucket, region and domain win."""

    s3_endpoint: str = Field(
        pattern=ENDPOINT_PATTERN,
        description="`{region}` in it stands for the task's region, as in https://cos.{region}.myqcloud.com",
    )
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_bucket: str = Field(pattern=f"^{BUCKET_PATTERN}$")
    s3_region: str = Field(pattern=f"^{REGION_PATTERN}$")
    s3_addressing_style: AddressingStyle = "virtual"
    public_url_scheme: Literal["http", "https"] = "https"
    public_domain: str | None = Field(default=None, description="where the bucket is published, if elsewhere")
    url_style: Literal["plain", "presigned"] = Field(default="plain", description="of the mp4's FileURL")
    presigned_url_s: int = Field(default=MAX_PRESIGNED_S, ge=1, le=MAX_PRESIGNED_S)

    upload_patience_h: float = Field(
        default=24, ge=0, description="for how long a store may be away before an upload fails"
    )
    media_retention_h: float = Field(
        default=24, ge=0, description="for how long clips can be cut from a finished recording"
    )
    failed_retention_days: float = Field(default=30, ge=0, description="what a failed task has left")

    backup_endpoint: str | None = Field(default=None, pattern=ENDPOINT_PATTERN)
    backup_region: str | None = Field(default=None, pattern=f"^{REGION_PATTERN}$")
    backup_access_key: SecretStr | None = None
    backup_secret_key: SecretStr | None = None
    backup_bucket: str | None = Field(
        default=None,
        pattern=f"^{BUCKET_PATTERN}$",
        description="where a result goes that its target refuses for good",
    )
    backup_addressing_style: AddressingStyle = "virtual"

    vod_secret_id: SecretStr | None = None
    vod_secret_key: SecretStr | None = None
    vod_endpoint: str = Field(default="https://vod.tencentcloudapi.com", pattern=ENDPOINT_PATTERN)
    vod_region: str = Field(default="ap-guangzhou", pattern=f"^{REGION_PATTERN}$")
    vod_s3_endpoint: str = Field(
        default="https://cos.{region}.myqcloud.com",
        pattern=ENDPOINT_PATTERN,
        description="where VOD keeps what is uploaded to it; `{region}` stands for the region that it names",
    )

    @model_validator(mode="after")
    def _backup_is_whole(self) -> Self:
        names = ("backup_endpoint", "backup_region", "backup_access_key", "backup_secret_key")
        missing = [f"PANOREEL_{name.upper()}" for name in names if getattr(self, name) is None]
        if self.backup_bucket and missing:
            raise ValueError(f"PANOREEL_BACKUP_BUCKET needs {', '.join(missing)}")
        if self.backup_bucket == self.s3_bucket:
            raise ValueError("PANOREEL_BACKUP_BUCKET must not be called as PANOREEL_S3_BUCKET is")
        return self
