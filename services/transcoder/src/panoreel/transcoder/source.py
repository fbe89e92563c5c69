"""Segments as libav reads them."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile

import av
from av.container import InputContainer

from panoreel.contracts.media import Segment
from panoreel.transcoder.errors import ParameterSetsDiffer, SegmentDamaged
from panoreel.transcoder.mp4.boxes import boxes

Read = Callable[[Segment], bytes]
"""Gives the content of a segment."""


def verified(segment: Segment, read: Read) -> bytes:
    """What `read` gives, if it is what was announced.

    Raises:
        SegmentDamaged: its checksum differs.
    """
    content = read(segment)
    if hashlib.sha256(content).hexdigest() != segment.sha256:
        raise SegmentDamaged(segment)
    return content


@contextmanager
def opened(segments: Sequence[Segment], read: Read) -> Iterator[InputContainer]:
    """Segments of one epoch as one fragmented MP4; opening each by itself would take 10 ms for probing.

    Raises:
        SegmentDamaged: a segment's checksum differs from the announced one.
        ParameterSetsDiffer: two segments were encoded with different settings.
    """
    contents = [verified(segment, read) for segment in segments]
    # SPS and PPS (ISO/IEC 14496-15, 5.3.3) and the AudioSpecificConfig: decoders take one for a whole track.
    header = contents[0][: _header_bytes(contents[0])]
    if not all(content.startswith(header) for content in contents):
        raise ParameterSetsDiffer
    joined = header + b"".join(content[len(header) :] for content in contents)
    with av.open(io.BytesIO(joined), "r", format="mp4") as container:
        yield container


def _header_bytes(content: bytes) -> int:
    """Where the first fragment begins (ISO/IEC 14496-12, 8.8)."""
    header = takewhile(lambda box: box[0] != b"moof", boxes(content))
    return sum(8 + len(inner) for _, inner in header)
