"""How a caller gives the key of an encrypted HLS playlist (RFC 8216 §4.3.2.4), and what it is in bytes."""

import base64
import binascii
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from panoreel.contracts.urls import check_http_url

HlsKeyMode = Literal["standard", "legacy"]
"""`legacy`: the key is the first 16 bytes of the text, as the original's ffmpeg took it."""

KEY_BYTES: Final = 16
"""An AES-128 key's length."""

_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}")
_PREFIXED_HEX: Final = re.compile(r"(0[xX])?[0-9A-Fa-f]{32}")


def _iv(value: str) -> str:
    if value and not _PREFIXED_HEX.fullmatch(value):
        raise ValueError("must be 32 hexadecimal digits, with 0x before them if need be")
    return value


def _auth_url(value: str) -> str:
    if '"' in value:
        # It is copied into the playlist, where a quotation mark would end the attribute.
        raise ValueError("must not contain quotation marks; percent-encode them")
    return value and check_http_url(value)


EncryptKey = Annotated[str, Field(max_length=1024)]
"""What it may be depends on the deployment's `HlsKeyMode`."""

EncryptIv = Annotated[str, AfterValidator(_iv)]
AuthUrl = Annotated[str, Field(max_length=2048), AfterValidator(_auth_url)]


def key_bytes(text: str, mode: HlsKeyMode) -> bytes:
    """The 16 bytes of the key.

    Raises:
        ValueError: a sentence for the caller that does not repeat the key.
    """
    if mode == "legacy":
        if len(text.encode()) < KEY_BYTES:
            raise ValueError(
                f"must have at least {KEY_BYTES} bytes, of which the first {KEY_BYTES} are the key"
            )
        return text.encode()[:KEY_BYTES]
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if len(text) == KEY_BYTES and text.isascii():
        return text.encode()
    return _base64(text)


def _base64(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("must be 32 hexadecimal digits, 16 ASCII characters, or 16 bytes in base64")
    return key
