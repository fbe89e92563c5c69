"""What becomes of a recording, piece by piece: what transcoder and uploader tell each other in `OUTPUTS`."""

from typing import Final, Literal

from pydantic import Field

from panoreel.contracts.media import Frozen, Sha256

Muxer = Literal["mp4", "hls"]
"""The formats of a result."""

HLS_PIECE_S: Final = 6
"""A segment of HLS ends with the first segment of the recording that makes it this long."""

OutputKind = Literal["mp4", "hls", "sprites", "poster"]
"""`sprites` are sheets of small pictures and a WebVTT that tells their times; `poster` is one picture."""


class Piece(Frozen):
    """A part of an output that is packaged and rests under `blob_key`, so that it can be shipped.

    Of an mp4 it is media that follows the index in the file, in the order of the numbers; of HLS a segment,
    encrypted if that was asked for; of sprites a sheet. What is in which piece follows from the order in
    which the segments were announced, and from nothing else: every replica makes the same pieces.

    Counted in audio samples, a segment's media begins in the output at `first_sample`, as far as the
    announcements before it tell. A late segment may move what follows it; HLS then tells of a discontinuity.
    """

    task_id: str
    output: OutputKind
    number: int = Field(ge=0, description="without holes")
    blob_key: str
    bytes: int = Field(gt=0)
    sha256: Sha256
    segments: tuple[tuple[int, int], ...] = Field(description="epoch and index of each segment in it")
    first_sample: int = Field(ge=0)
    samples: int = Field(ge=0)
    frames: int = Field(ge=0)
    index_key: str | None = Field(default=None, description="of an mp4: where its sample tables rest")


class UploadBegun(Frozen):
    """A multipart upload that the parts of an output are sent to."""

    task_id: str
    output: OutputKind
    attempt: int = Field(default=0, ge=0, description="counts uploads that the store has forgotten")
    bucket: str
    key: str
    upload_id: str


class Shipped(Frozen):
    """A piece that the store has and has confirmed: as part `part` of an upload, or as an object."""

    task_id: str
    output: OutputKind
    number: int = Field(ge=0)
    bucket: str
    key: str
    bytes: int = Field(gt=0)
    etag: str
    upload_id: str | None = None
    part: int | None = Field(default=None, ge=1)


class CommitBegun(Frozen):
    """VOD was asked, or is being asked, to make a media file of what was uploaded to `bucket`."""

    task_id: str
    output: OutputKind
    attempt: int = Field(default=0, ge=0, description="counts those that VOD has refused")
    bucket: str
    key: str
    session_key: str


class Committed(Frozen):
    """VOD has made this media file; `file_id` has more digits than a JSON number is sure to keep."""

    task_id: str
    output: OutputKind
    file_id: str
    url: str
