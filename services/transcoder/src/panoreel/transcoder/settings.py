"""The transcoder's settings."""

from pathlib import Path

from pydantic import Field

from panoreel.runtime.settings import ServiceSettings


class TranscoderSettings(ServiceSettings):
    """What the transcoder needs besides the shared settings."""

    blobs_dir: Path = Field(description="shared with recorder and uploader")
