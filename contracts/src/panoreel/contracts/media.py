"""The shape of recorded media: what every encoder of a task and whoever joins its segments agree on."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

VIDEO_TIMESCALE: Final = 90_000
"""Ticks per second of every video timestamp."""

AUDIO_SAMPLE_RATE: Final = 48_000
"""Audio samples per second; also the unit of every audio timestamp."""

AUDIO_FRAME_SAMPLES: Final = 1024
"""Samples in one AAC-LC frame (ISO/IEC 14496-3): the grid on which recordings are cut and joined."""

SEGMENT_S: Final = 2
"""The first key picture this long after a segment's first opens the next."""

PICTURE_S: Final = 1
"""There is a picture at least this often."""


def ticks(samples: int) -> int:
    """Audio samples in `VIDEO_TIMESCALE` ticks: exact on the audio grid, whose frames are 1920 of them."""
    return samples * VIDEO_TIMESCALE // AUDIO_SAMPLE_RATE


Tracks = Literal["both", "audio", "video"]
"""What a recording holds. Without sound its length is still measured in samples."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Frozen(BaseModel):
    """An immutable value that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderParameters(Frozen):
    """What decides the H.264 parameter sets, fixed for a whole task when it is created.

    Segments of different encoder runs are joined without re-encoding, so every run of a task must write
    byte-identical SPS and PPS. Options that do not reach those headers (the preset's search effort, for
    one) are the recorder's own to choose.
    """

    width: int = Field(ge=1, le=2560, description="visible width in pixels; odd widths are padded by one")
    height: int = Field(ge=1, le=2560, description="visible height in pixels; odd heights are padded by one")
    fps: int = Field(default=30, ge=1, le=60, description="highest frame rate; timestamps are variable")
    crf: int = Field(default=23, ge=1, le=51, description="constant quality, unless there is a bitrate")
    bitrate: int | None = Field(
        default=None, ge=50_000, le=50_000_000, description="bits per second, in the mean"
    )
    keyframe_interval_s: float = Field(
        default=2, ge=0.5, le=10, description="a longer one makes longer segments"
    )
    tracks: Tracks = "both"
    profile: str = "high"
    reference_frames: int = Field(default=1, ge=1, le=16)
    cabac: bool = True
    transform_8x8: bool = True
    weighted_prediction: int = Field(default=0, ge=0, le=2, description="x264's weightp")
    audio_bitrate: int = Field(default=128_000, ge=16_000, le=512_000, description="bits per second")

    @property
    def longest_segment_s(self) -> float:
        """No segment lasts longer: a key picture is the first one after the interval has passed."""
        least_s = self.keyframe_interval_s
        return least_s + PICTURE_S + (0 if least_s >= SEGMENT_S else SEGMENT_S)


class SegmentMedia(Frozen):
    """One sealed piece of media: a self-contained fragmented MP4 that opens with a keyframe.

    Timestamps count from the epoch's first frame: `first_pts` and `end_pts` in `VIDEO_TIMESCALE` ticks,
    `first_sample` and `end_sample` in audio samples. Ends are exclusive.
    """

    epoch: int = Field(ge=1)
    index: int = Field(ge=0, description="position within the epoch, without holes")
    bytes: int = Field(gt=0)
    sha256: Sha256
    first_pts: int = Field(ge=0)
    end_pts: int = Field(gt=0)
    first_sample: int = Field(ge=0)
    end_sample: int = Field(ge=0)
    frames: int = Field(ge=0, description="video frames in this segment; none where there is only sound")
    wall_time: datetime = Field(description="when the page showed the segment's first frame, UTC")

    @model_validator(mode="after")
    def _ends_after_its_beginning(self) -> Self:
        if self.end_pts <= self.first_pts:
            raise ValueError(f"end_pts {self.end_pts} is not after first_pts {self.first_pts}")
        if self.end_sample < self.first_sample:
            raise ValueError(f"end_sample {self.end_sample} is before first_sample {self.first_sample}")
        return self


class Segment(SegmentMedia):
    """What `SEGMENTS` announces: sealed media that rests under `blob_key`."""

    task_id: str
    blob_key: str
