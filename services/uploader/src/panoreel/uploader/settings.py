"""The uploader's settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from panoreel.contracts.names import BUCKET_PATTERN, REGION_PATTERN
from panoreel.runtime.settings import ServiceSettings


class UploaderSettings(ServiceSettings):
    """What the uploader needs besides the shared settings. A task's own bucket, region and domain win."""

    blobs_dir: Path = Field(description="the directory shared with recorder and transcoder")
    s3_endpoint: str = Field(
        pattern=r"^https?://[^/?#@]+/?$",
        description="`{region}` in it stands for the task's region, as in https://cos.{region}.myqcloud.com",
    )
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_bucket: str = Field(pattern=f"^{BUCKET_PATTERN}$")
    s3_region: str = Field(pattern=f"^{REGION_PATTERN}$")
    s3_addressing_style: Literal["virtual", "path"] = "virtual"
    public_url_scheme: Literal["http", "https"] = "https"
    public_domain: str | None = Field(default=None, description="where the bucket is published, if elsewhere")
