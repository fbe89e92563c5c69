"""Whether a request is the one that created a task, told by a keyed hash that gives away nothing of it."""

import base64
import hmac
import json
from collections.abc import Sequence
from typing import Final

from panoreel.dispatch.parameters import ClipParameters, StartParameters

Repeatable = StartParameters | ClipParameters
"""What creates a task, which the caller may name by an id of their own."""

_PURPOSE: Final = b"panoreel request digest"
"""Keeps the hash's key apart from the one that seals."""


class RequestDigests:
    """HMAC-SHA256 over a request's parameters. Of the Fernet `keys` the first makes, all recognize."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hmac.digest(base64.urlsafe_b64decode(key), _PURPOSE, "sha256") for key in keys]

    def of(self, parameters: Repeatable) -> str:
        """The digest to store with the task, in hexadecimal digits."""
        return _digest(self._keys[0], parameters)

    def recognizes(self, digest: str | None, parameters: Repeatable) -> bool:
        """Whether `digest` was made of the same parameters, with a key that is still configured."""
        stored = (digest or "").encode()
        return any(hmac.compare_digest(stored, _digest(key, parameters).encode()) for key in self._keys)


def _digest(key: bytes, parameters: Repeatable) -> str:
    # Without defaults: neither spelling one out nor a parameter of a later version makes another request.
    values = parameters.model_dump(mode="json", exclude_defaults=True, exclude={parameters.own_id_field})
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, canonical.encode(), "sha256").hex()
