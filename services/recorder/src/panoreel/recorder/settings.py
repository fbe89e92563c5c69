"""The recorder's settings."""

from pathlib import Path

from pydantic import Field, SecretStr

from panoreel.blobs.settings import BlobSettings
from panoreel.recorder.udp import WebrtcUdp
from panoreel.runtime.settings import ReachingSettings


class RecorderSettings(BlobSettings, ReachingSettings):
    """What the recorder needs besides the shared settings."""

    recorder_id: str = Field(description="stable across restarts: it tells whose recordings a spool holds")
    secret_keys: tuple[SecretStr, ...] = Field(min_length=1, description="Fernet keys")
    spool_dir: Path = Field(description="survives restarts: sealed segments rest here until they are stored")
    run_dir: Path = Field(description="sockets and browser profiles of running recordings")
    user: str | None = Field(default=None, description="who runs browser and display when this runs as root")
    webrtc_udp: WebrtcUdp = Field(
        default="auto", description="limited to public addresses by nftables; auto: or else off"
    )
    start_timeout_s: float = Field(
        default=600, gt=0, description="how long the first frame may wait for startRecord, or in a pause"
    )
    warm_recordings: int = Field(
        default=1, ge=0, description="how many browsers wait for a task of the usual size"
    )
    max_recordings: int | None = Field(default=None, ge=1, description="at once; None: as load allows")
    max_load: float = Field(
        default=0.8, gt=0, description="share of the processors up to which another recording is begun"
    )
    cores_per_recording: float = Field(
        default=0.5, ge=0, description="kept free for a recording that begins, until its load is measured"
    )
    memory_per_recording_mib: int = Field(default=700, ge=0, description="kept free for one that begins")
