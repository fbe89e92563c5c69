"""The boxes that an MP4 file is made of (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator


class NotMp4(ValueError):
    """The bytes are no MP4 file of the kind that is expected here."""


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The type and the content of each box, one after the other.

    Raises:
        NotMp4: one does not end where it should.
    """
    position = 0
    while position < len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        if size < 8 or position + size > len(content):
            raise NotMp4(f"there is no box at byte {position}")
        yield content[position + 4 : position + 8], content[position + 8 : position + size]
        position += size


def child(content: bytes, *path: bytes) -> bytes:
    """The content of the first box at `path`.

    Raises:
        NotMp4: there is none.
    """
    for kind in path:
        content = next((inner for found, inner in boxes(content) if found == kind), b"")
        if not content:
            raise NotMp4(f"there is no box {kind!r}")
    return content


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box with these parts in it."""
    size = 8 + sum(map(len, parts))
    return b"".join((size.to_bytes(4, "big"), kind, *parts))


def full_box(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    """A box that has a version, and flags, none of which is set."""
    return box(kind, bytes((version, 0, 0, 0)), *parts)
