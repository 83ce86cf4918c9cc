"""Objects that users store on Google Cloud Storage, read only. Their names can be any text.

Requests use the same client, retries, credentials and error texts as those of buckets.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from diamond_cutter.storage.errors import StorageError
from diamond_cutter.storage.gcs.place import GcsPlace, decoded
from diamond_cutter.storage.retries import CallRetries
from diamond_cutter.storage.url import GcsUrl, split_url

_LISTED = "items(name,size,crc32c),nextPageToken"


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """Metadata of an object.

    Attributes:
        url: of the object.
        name: relative to the listed folder.
        size: in bytes.
        crc32c: the stored checksum, None if the service stores none.
    """

    url: str
    name: str
    size: int
    crc32c: int | None


def list_objects(url: str, retries: CallRetries | None = None) -> Iterator[ForeignObject]:
    """Yield the objects in and below a folder, such as `gs://bucket/folder`, sorted by name.

    Names that end in '/' are omitted, because they stand for empty folders.

    Raises:
        StorageError: the URL is not a `gs://` URL, the bucket is missing or not accessible, or the
            service fails.
    """
    place, path = _place(url, retries)
    folder = path.removesuffix("/") + "/" if path else ""
    with place.explained(f"list {url!r}"):
        for found in place.listing(prefix=folder, fields=_LISTED):
            name = found["name"]
            if not name.endswith("/"):
                yield ForeignObject(
                    f"{place.url}/{name}",
                    name[len(folder) :],
                    int(found.get("size", 0)),
                    decoded(found.get("crc32c")),
                )


def read_object(url: str, retries: CallRetries | None = None) -> bytes:
    """Return the verified bytes of an object, such as `gs://bucket/object`.

    Raises:
        NotFound: the object does not exist.
        Corrupt: every download arrived damaged.
        StorageError: the URL names no object, the access is denied, or the service fails.
    """
    place, name = _place(url, retries)
    if not name:
        raise StorageError(
            f"{url!r} names no object: expected a bucket and an object, as in gs://bucket/object"
        )
    target = io.BytesIO()
    place.download(name, target)
    return target.getvalue()


def _place(url: str, retries: CallRetries | None) -> tuple[GcsPlace, str]:
    found = split_url(url, "object")
    if not isinstance(found, GcsUrl):
        raise StorageError(
            f"{url!r} is not on Google Cloud Storage: expected a URL such as gs://bucket/folder"
        )
    return GcsPlace(found.bucket, "", retries or CallRetries()), found.path
