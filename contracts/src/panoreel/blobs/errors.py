"""What can go wrong with the blob store. Failures of the storage itself are `OSError`."""


class BlobsError(Exception):
    """The blob store could not do this."""


class InvalidKey(BlobsError, ValueError):
    """The blob key is not a relative path of harmless characters."""


class BlobNotFound(BlobsError):
    """There is no such blob."""


class BlobsUnavailable(BlobsError):
    """The blob store cannot be used."""
