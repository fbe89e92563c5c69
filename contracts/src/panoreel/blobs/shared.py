"""One set of blob stores for all services: whoever starts with other ones is told so at once."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar

import structlog

from panoreel.blobs.directory import DirectoryBlobs
from panoreel.blobs.errors import BlobsUnavailable, StorageMissing, StoreUnavailable
from panoreel.blobs.places import StoreAccess
from panoreel.blobs.settings import BlobSettings
from panoreel.blobs.store import Blobs
from panoreel.contracts.events import StorageType
from panoreel.eventlog.deployment import agreed
from panoreel.eventlog.log import EventLog

_SETTING: Final[Mapping[StorageType, str]] = {"cfs": "PANOREEL_BLOBS_DIR", "cos": "PANOREEL_RAW_BUCKET"}
_AGREEMENT: Final[Mapping[StorageType, str]] = {"cfs": "blobs", "cos": "blobs-cos"}

_Value = TypeVar("_Value")

_logger = structlog.get_logger()


class BlobStores:
    """The blob stores that a service has, by what tasks call them."""

    def __init__(self, log: EventLog, stores: Mapping[StorageType, Blobs]) -> None:
        self._log = log
        self._stores = stores
        self._checked: set[StorageType] = set()

    @property
    def types(self) -> tuple[StorageType, ...]:
        """What the stores are called."""
        return tuple(self._stores)

    async def of(self, storage_type: StorageType, *, anew: bool = False) -> Blobs:
        """The store of a task, which is the one that the other services use.

        That is checked once, and `anew` for whoever takes what is missing there for lost.

        Raises:
            StorageMissing: there is none.
            BlobsUnavailable: it cannot be used, or it is another one than the others'.
            StoreUnavailable: the store does not answer now.
            LogUnavailable: what the others use is not known.
        """
        self.require(storage_type)
        blobs = self._stores[storage_type]
        if anew or storage_type not in self._checked:
            await self._check(storage_type, blobs)
            self._checked.add(storage_type)
        return blobs

    def require(self, storage_type: StorageType) -> None:
        """Make sure that there is such a store, whether it works or not.

        Raises:
            StorageMissing: there is none.
        """
        if storage_type not in self._stores:
            setting = _SETTING[storage_type]
            raise StorageMissing(f"StorageType {storage_type} is not configured here: {setting} is not set")

    async def check(self) -> None:
        """Check all stores; one that does not answer is checked later, before it is used. Raises as `of`."""
        if not self._stores:
            settings = " or ".join(_SETTING.values())
            raise BlobsUnavailable(f"there is nowhere to keep media: set {settings}")
        for storage_type in self._stores:
            try:
                await self.of(storage_type)
            except StoreUnavailable as error:
                _logger.warning("blob store is away", storage_type=storage_type, error=str(error))

    async def _check(self, storage_type: StorageType, blobs: Blobs) -> None:
        setting = _SETTING[storage_type]
        try:
            names = await asyncio.to_thread(blobs.check)
            agreed_name = await agreed(self._log, _AGREEMENT[storage_type], min(names))
            # Whoever agreed on it may have given it while we looked.
            same = agreed_name in names or agreed_name in await asyncio.to_thread(blobs.check)
        except BlobsUnavailable as error:
            raise BlobsUnavailable(f"{setting}: {error}") from None
        if not same:
            raise BlobsUnavailable(
                f"{setting}: {blobs} is not the one that the other services use; give all of them the same"
            )


async def open_shared(log: EventLog, settings: BlobSettings) -> BlobStores:
    """The blob stores of the settings, checked. Raises as `BlobStores.of`."""
    stores: dict[StorageType, Blobs] = {}
    if settings.blobs_dir:
        stores["cfs"] = DirectoryBlobs(settings.blobs_dir)
    if settings.raw_bucket:
        stores["cos"] = await asyncio.to_thread(_bucket, settings, settings.raw_bucket)
    opened = BlobStores(log, stores)
    await opened.check()
    return opened


def _bucket(settings: BlobSettings, bucket: str) -> Blobs:
    # Imported here: boto3 would slow down every start without a bucket.
    from panoreel.blobs.bucket import BucketBlobs

    access = StoreAccess(
        endpoint=_needed("ENDPOINT", settings.raw_endpoint),
        region=_needed("REGION", settings.raw_region),
        access_key=_needed("ACCESS_KEY", settings.raw_access_key),
        secret_key=_needed("SECRET_KEY", settings.raw_secret_key),
        addressing_style=settings.raw_addressing_style,
    )
    return BucketBlobs(access, bucket, settings.raw_prefix)


def _needed(name: str, value: _Value | None) -> _Value:
    if value is None:
        raise BlobsUnavailable(f"PANOREEL_RAW_{name} is not set, and PANOREEL_RAW_BUCKET needs it")
    return value
