"""What a store's answers mean: boto3's errors become ours, by whether it makes sense to ask again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as StoreConnectionError

from panoreel.blobs.errors import StoreRefused, StoreUnavailable, UploadForgotten

_PASSING: Final = frozenset(
    {"BadDigest", "OperationAborted", "RequestTimeout", "RequestTimeTooSkewed", "SlowDown"}
)
"""Refusals (HTTP 4xx) that need not come again."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn boto3's errors into `StoreRefused`, `StoreUnavailable` and `UploadForgotten`."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        sentence = f"{code}: {error.response['Error'].get('Message', '')}"
        if code == "NoSuchUpload":
            raise UploadForgotten(sentence) from error
        if http_status(error) >= 500 or http_status(error) == 429 or code in _PASSING:
            raise StoreUnavailable(sentence) from error
        raise StoreRefused(sentence) from error
    except (StoreConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: the object store does not answer") from error
    except BotoCoreError as error:
        raise StoreRefused(f"{type(error).__name__}: {error}") from error


def http_status(error: ClientError) -> int:
    """The status of the answer that the error stands for."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]
