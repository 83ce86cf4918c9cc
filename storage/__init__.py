"""Buckets for pictures and records, in a local folder or on Google Cloud Storage."""

from pathlib import Path

from diamond_cutter.storage.bucket import (
    Bucket,
    ObjectInfo,
    Token,
    check_key,
    content_type_of,
    crc32c,
)
from diamond_cutter.storage.errors import (
    AccessDenied,
    BadKey,
    Conflict,
    Corrupt,
    CredentialsError,
    NotFound,
    StorageError,
    Unavailable,
)
from diamond_cutter.storage.gcs.bucket import GcsBucket
from diamond_cutter.storage.local import LocalBucket
from diamond_cutter.storage.retries import CallRetries
from diamond_cutter.storage.url import GcsUrl, split_url

__all__ = [
    "AccessDenied",
    "BadKey",
    "Bucket",
    "Conflict",
    "Corrupt",
    "CredentialsError",
    "GcsBucket",
    "LocalBucket",
    "NotFound",
    "ObjectInfo",
    "StorageError",
    "Token",
    "Unavailable",
    "check_key",
    "content_type_of",
    "crc32c",
    "open_bucket",
]


def open_bucket(url: str | Path, retries: CallRetries | None = None) -> Bucket:
    """Return the bucket at a local path, a `file://` URL or a `gs://` URL, without accessing it.

    Args:
        url: of the bucket.
        retries: of the calls to a cloud service.

    Raises:
        StorageError: the URL has an unknown scheme.
    """
    text = str(url)
    if not text:
        raise StorageError(
            "the bucket is empty text: expected a folder or a URL. Give the path of a local folder."
        )
    place = split_url(text, "bucket")
    return (
        GcsBucket(place.bucket, place.path.removesuffix("/"), retries)
        if isinstance(place, GcsUrl)
        else LocalBucket(place)
    )
