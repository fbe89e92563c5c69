"""The uploader's settings."""

from typing import Literal

from pydantic import Field, SecretStr

from panoreel.blobs.places import ENDPOINT_PATTERN, AddressingStyle
from panoreel.blobs.settings import BlobSettings
from panoreel.contracts.names import BUCKET_PATTERN, REGION_PATTERN


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
