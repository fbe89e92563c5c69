"""What can go wrong with the blob store. Failures of the storage itself are `OSError`."""


class BlobsError(Exception):
    """The blob store could not do this."""


class InvalidKey(BlobsError, ValueError):
    """The blob key is not a relative path of harmless characters."""


class BlobNotFound(BlobsError):
    """There is no such blob."""


class BlobsUnavailable(BlobsError):
    """The blob store cannot be used."""


class StorageMissing(BlobsError):
    """The task's media is to rest in a kind of storage that this service does not have."""


class StoreError(OSError):
    """The object store could not do this. The message names what the store said."""


class StoreRefused(StoreError):
    """The store will not do this, however often it is asked."""


class StoreUnavailable(StoreError):
    """The store cannot do this now, but it may later."""


class UploadForgotten(StoreUnavailable):
    """The store knows no such upload (any more)."""


class ForeignObject(StoreRefused):
    """Another application's object is there."""


class UploadCancelled(StoreError):
    """The upload was cancelled."""
