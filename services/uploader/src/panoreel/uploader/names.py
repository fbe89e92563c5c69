"""Where results go and how they are called: pure, so that every redelivery finds the same place."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from panoreel.blobs.keys import BLOB_NAMES
from panoreel.blobs.places import AddressingStyle, ObjectPlace, StoreAccess
from panoreel.contracts import names
from panoreel.contracts.outputs import Muxer
from panoreel.contracts.task import Task
from panoreel.uploader.settings import UploaderSettings


@dataclass(frozen=True, slots=True)
class Place(ObjectPlace):
    """Where a file goes, and the `url` under which others find it."""

    url: str

    @property
    def filename(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a task's results go: which bucket of which store, and under which keys.

    `origin` is what precedes a key in a URL. `refusal` is what the caller's own bucket said, if this is the
    backup store.
    """

    access: StoreAccess
    bucket: str
    origin: str
    owner: str
    task_id: str
    keys: Mapping[Muxer, str]
    refusal: str | None = None

    def result(self, muxer: Muxer) -> Place:
        """The place of an mp4 or of a playlist."""
        return self._place(self.keys[muxer])

    def segment(self, number: int) -> Place:
        """The place of a segment of the playlist."""
        return self._place(names.part(self.keys["hls"], self.task_id, f"-{number:05d}.ts"))

    def live(self) -> Place:
        """The place of the playlist that can be followed while the recording runs."""
        return self._place(names.part(self.keys["hls"], self.task_id, "-live.m3u8"))

    def sheet(self, number: int) -> Place:
        """The place of a sheet of small pictures."""
        return self._place(names.part(self._first, self.task_id, f"-sprites-{number:05d}.jpg"))

    def sprites(self) -> Place:
        """The place of the WebVTT that tells the times of the small pictures."""
        return self._beside("-sprites.vtt")

    def poster(self) -> Place:
        """The place of the picture that stands for the recording."""
        return self._beside(".jpg")

    def manifest(self) -> Place:
        """The place of what tells of all files."""
        return self._beside(".json")

    def _beside(self, suffix: str) -> Place:
        return self._place(names.sibling(self._first, suffix))

    @property
    def _first(self) -> str:
        """Files of no one format are called after the first result."""
        return next(iter(self.keys.values()))

    def _place(self, key: str) -> Place:
        return Place(self.bucket, key, f"{self.origin}/{quote(key)}", owner=self.owner)


def destination_of(task: Task, settings: UploaderSettings) -> Destination:
    """Where the caller wants the results, or by default the deployment.

    Raises:
        ValueError: a sentence that names the field of the request which makes no valid place.
    """
    names.check(task.output, task.public_id)
    region = task.output.region or settings.s3_region
    bucket = task.output.bucket or settings.s3_bucket
    access = StoreAccess(
        endpoint=settings.s3_endpoint.rstrip("/").replace("{region}", region),
        region=region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        addressing_style=settings.s3_addressing_style,
    )
    domain = task.output.domain or settings.public_domain
    scheme = settings.public_url_scheme
    origin = _published(domain, scheme) if domain else _origin(access, bucket, scheme)
    keys = _keys(task)
    for key in keys.values():
        _keep_off_media(bucket, key, settings)
    owner = names.owner(task.application)
    return Destination(
        access=access, bucket=bucket, origin=origin, owner=owner, task_id=task.task_id, keys=keys
    )


def backup_of(task: Task, settings: UploaderSettings, refusal: str) -> Destination | None:
    """Where the results go after this refusal; None where there is no backup store.

    Facts tell buckets by their names alone: one that is called as the backup's is has no backup.
    """
    if settings.backup_bucket == (task.output.bucket or settings.s3_bucket) or not (
        settings.backup_bucket
        and settings.backup_endpoint
        and settings.backup_region
        and settings.backup_access_key
        and settings.backup_secret_key
    ):
        return None
    access = StoreAccess(
        endpoint=settings.backup_endpoint.rstrip("/"),
        region=settings.backup_region,
        access_key=settings.backup_access_key,
        secret_key=settings.backup_secret_key,
        addressing_style=settings.backup_addressing_style,
    )
    return Destination(
        access=access,
        bucket=settings.backup_bucket,
        origin=_origin(access, settings.backup_bucket, settings.public_url_scheme),
        owner=names.owner(task.application),
        task_id=task.task_id,
        keys=_keys(task),
        refusal=refusal,
    )


def _keys(task: Task) -> dict[Muxer, str]:
    return {
        muxer: names.result_key(task.output, muxer, task.public_id, task.create_time)
        for muxer in task.output.muxers
    }


def _keep_off_media(bucket: str, key: str, settings: UploaderSettings) -> None:
    """Without a prefix, blobs share their bucket with results, and only their own names are kept off."""
    media = settings.raw_prefix or BLOB_NAMES
    if bucket == settings.raw_bucket and key.startswith(media):
        raise ValueError("TargetDir names a place where media rests until its result is made; use another")


def _published(domain: str, scheme: str) -> str:
    with_scheme = domain if "://" in domain else f"{scheme}://{domain}"
    return with_scheme.rstrip("/")


def _origin(access: StoreAccess, bucket: str, scheme: str) -> str:
    parts = urlsplit(access.endpoint)
    if _has_path_style(access.addressing_style, parts.hostname or ""):
        return f"{access.endpoint}/{bucket}"
    return f"{scheme}://{bucket}.{parts.netloc}"


def _has_path_style(style: AddressingStyle, host: str) -> bool:
    """An address is no name to put a bucket before: boto3, too, turns to path style then."""
    if style == "path":
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
