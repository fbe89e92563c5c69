"""Which blob stores a service has: the settings that recorder, transcoder and uploader have in common."""

from pathlib import Path

from pydantic import Field, SecretStr

from panoreel.blobs.places import ENDPOINT_PATTERN, AddressingStyle
from panoreel.contracts.names import BUCKET_PATTERN, REGION_PATTERN
from panoreel.runtime.settings import ServiceSettings


class BlobSettings(ServiceSettings):
    """The directory for tasks of `StorageType` cfs, the bucket for cos. One of them may be absent."""

    blobs_dir: Path | None = Field(
        default=None, description="a directory that recorder, transcoder and uploader share"
    )
    raw_bucket: str | None = Field(default=None, pattern=f"^{BUCKET_PATTERN}$")
    raw_prefix: str = Field(
        default="raw/", pattern=r"^([A-Za-z0-9_-]+/)*$", description="what the keys of all blobs begin with"
    )
    raw_endpoint: str | None = Field(
        default=None, pattern=ENDPOINT_PATTERN, description="such as https://cos.ap-shanghai.myqcloud.com"
    )
    raw_region: str | None = Field(default=None, pattern=f"^{REGION_PATTERN}$")
    raw_access_key: SecretStr | None = None
    raw_secret_key: SecretStr | None = None
    raw_addressing_style: AddressingStyle = "virtual"
