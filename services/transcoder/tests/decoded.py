"""Segments of tests, and what is seen and heard of what they become."""

import io
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from panoreel.contracts.media import Segment
from tests.servers.epoch import number


def content_of(segment: Segment) -> bytes:
    """What was sealed."""
    return Path(segment.blob_key).read_bytes()


def pictures(media: Path | bytes) -> list[av.VideoFrame]:
    """All pictures, decoded strictly: any damage is an error."""
    with av.open(io.BytesIO(media) if isinstance(media, bytes) else str(media), "r") as container:
        container.streams.video[0].codec_context.options = {"err_detect": "explode+bitstream+buffer"}
        return list(container.decode(video=0))


def numbers(frames: Iterable[av.VideoFrame]) -> list[int]:
    """The numbers that the pictures carry."""
    return [number(frame) for frame in frames]


def sound(path: Path) -> NDArray[np.float32]:
    """The left channel of all sound."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
