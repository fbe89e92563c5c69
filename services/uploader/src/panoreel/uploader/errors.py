"""Why an object could not be stored. The message names what the store said."""


class StoreError(Exception):
    """The object store could not do this."""


class StoreRefused(StoreError):
    """The store will not take the object, however often it is asked."""


class StoreUnavailable(StoreError):
    """The store cannot take the object now, but it may later."""


class UploadCancelled(StoreError):
    """The upload was cancelled."""
