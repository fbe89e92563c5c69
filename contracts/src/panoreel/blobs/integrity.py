"""Proof that the store got the bytes that were sent: their MD5, which S3 and its likes check and return."""

import re
from base64 import b64encode
from hashlib import md5
from typing import TYPE_CHECKING, Final

from panoreel.blobs.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef, UploadPartOutputTypeDef

_MD5: Final = re.compile(r'"([0-9a-f]{32})"')


class Digest:
    """The MD5 of an object or of one part of it."""

    def __init__(self, content: bytes) -> None:
        self._md5 = md5(content, usedforsecurity=False)

    @property
    def header(self) -> str:
        """The value of `Content-MD5` (RFC 1864): the store refuses a body that differs."""
        return b64encode(self._md5.digest()).decode()

    def confirmed_by(self, answer: "PutObjectOutputTypeDef | UploadPartOutputTypeDef") -> str:
        """The ETag in the store's answer. It is the MD5, unless the store encrypts with a key of its own.

        Raises:
            StoreUnavailable: the store has other bytes than were sent.
        """
        found = _MD5.fullmatch(answer["ETag"])
        encrypted = answer.get("ServerSideEncryption", "AES256") != "AES256"
        if found and not encrypted and found[1] != self._md5.hexdigest():
            raise StoreUnavailable("the store received other bytes than were sent")
        return answer["ETag"]
