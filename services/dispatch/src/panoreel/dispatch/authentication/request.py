"""A request as it came, without any framework."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class SignedRequest:
    """What a signature may cover.

    `path` is percent-decoded and without a deployment's prefix; `query` and `headers` are as received.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def values(self, name: bytes) -> list[bytes]:
        """The values of every header of this lower-case name, without blanks around them."""
        return self._by_name.get(name, [])

    def value(self, name: bytes) -> bytes:
        """The first of `values`; empty when there is none."""
        return next(iter(self.values(name)), b"")

    @cached_property
    def _by_name(self) -> dict[bytes, list[bytes]]:
        by_name: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            by_name.setdefault(name.lower(), []).append(value.strip(b" \t"))
        return by_name
