"""Where a result goes and how it is called: pure, so that every redelivery finds the same place."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from panoreel.blobs.keys import BLOB_NAMES
from panoreel.blobs.places import ObjectPlace
from panoreel.contracts import names
from panoreel.contracts.task import Task
from panoreel.uploader.settings import UploaderSettings


@dataclass(frozen=True, slots=True)
class Place(ObjectPlace):
    """Where a result goes, in which store, and the `url` under which others find it."""

    endpoint: str
    region: str
    url: str

    @property
    def filename(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]


def place_of(task: Task, number: int, settings: UploaderSettings) -> Place:
    """The place of a task's result file; the files after the first (`number` 0) are numbered from 2.

    Raises:
        ValueError: a sentence that names the field of the request which makes no valid place.
    """
    names.check(task.output, task.public_id)
    key = names.result_key(task.output, "mp4", task.public_id, task.create_time)
    if number:
        key = names.sibling(key, f"-{number + 1}.mp4")
    region = task.output.region or settings.s3_region
    bucket = task.output.bucket or settings.s3_bucket
    endpoint = settings.s3_endpoint.rstrip("/").replace("{region}", region)
    domain = task.output.domain or settings.public_domain
    origin = _published(domain, settings) if domain else _origin(endpoint, bucket, settings)
    _keep_off_media(bucket, key, settings)
    url = f"{origin}/{quote(key)}"
    return Place(bucket, key, endpoint, region, url, owner=names.owner(task.application))


def _keep_off_media(bucket: str, key: str, settings: UploaderSettings) -> None:
    """Without a prefix, blobs share their bucket with results, and only their own names are kept off."""
    media = settings.raw_prefix or BLOB_NAMES
    if bucket == settings.raw_bucket and key.startswith(media):
        raise ValueError("TargetDir names a place where media rests until its result is made; use another")


def _published(domain: str, settings: UploaderSettings) -> str:
    with_scheme = domain if "://" in domain else f"{settings.public_url_scheme}://{domain}"
    return with_scheme.rstrip("/")


def _origin(endpoint: str, bucket: str, settings: UploaderSettings) -> str:
    parts = urlsplit(endpoint)
    if settings.s3_addressing_style == "path" or _is_address(parts.hostname or ""):
        return f"{endpoint}/{bucket}"
    return f"{settings.public_url_scheme}://{bucket}.{parts.netloc}"


def _is_address(host: str) -> bool:
    """Whether there is no name to put a bucket before: boto3, too, turns to path style then."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
