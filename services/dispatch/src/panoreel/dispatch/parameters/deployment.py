"""What a deployment can do, and what it does where a caller does not say."""

from dataclasses import dataclass
from typing import Literal

from panoreel.contracts.events import StorageType
from panoreel.dispatch.parameters.encryption import HlsKeyMode
from panoreel.reach.addresses import Networks

Target = Literal["cos", "vod"]
"""Where results can go: to a bucket, or to VOD."""


@dataclass(frozen=True)
class Deployment:
    """What may be asked here. With either default of VOD, results go there if a caller does not say."""

    allowed_networks: Networks = ()
    storage_types: tuple[StorageType, ...] = ("cfs",)
    targets: tuple[Target, ...] = ("cos",)
    hls_key_mode: HlsKeyMode = "standard"
    vod_sub_app_id: int | None = None
    vod_storage_region: str | None = None
