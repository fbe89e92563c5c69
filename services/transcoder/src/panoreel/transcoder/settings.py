"""The transcoder's settings."""

from panoreel.blobs.settings import BlobSettings


class TranscoderSettings(BlobSettings):
    """What the transcoder needs besides the shared settings."""
