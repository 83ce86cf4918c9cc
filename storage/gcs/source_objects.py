"""Objects that others have put on Google Cloud Storage, to be read only: their names are any text,
where a bucket's keys are not.

Asked for with the same client, patience and credentials as a bucket's own objects, and with the
same sentences where it fails.
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
    """What the service knows of an object without reading it.

    `name` is what is behind the folder that was listed. `size` is in bytes. `crc32c` is None where
    the service does not tell it.
    """

    url: str
    name: str
    size: int
    crc32c: int | None


def list_objects(url: str, retries: CallRetries | None = None) -> Iterator[ForeignObject]:
    """Yield the objects in a folder, such as `gs://bucket/folder`, and below it, in the byte order
    of their names.

    Names that end in '/' are left out: they stand for folders that nothing is in.

    Raises:
        StorageError: it is no `gs://` URL, the bucket is not there or not for us, or the service
            fails.
    """
    place, path = _place(url, retries)
    folder = path.removesuffix("/") + "/" if path else ""
    with place.explained(f"list {url!r}"):
        for blob in place.listing(prefix=folder, fields=_LISTED):
            if not blob.name.endswith("/"):
                yield ForeignObject(
                    f"{place.url}/{blob.name}",
                    blob.name[len(folder) :],
                    int(blob.size or 0),
                    decoded(blob.crc32c),
                )


def read_object(url: str, retries: CallRetries | None = None) -> bytes:
    """Return the bytes of the object at a URL such as `gs://bucket/object`, whose checksum is the
    service's.

    Raises:
        NotFound: there is no such object.
        Corrupt: the bytes arrive damaged again and again.
        StorageError: the URL names no object, the object is not for us, or the service fails.
    """
    place, name = _place(url, retries)
    if not name:
        raise StorageError(
            f"{url!r} names no object; give a bucket and an object, as in gs://bucket/object."
        )
    target = io.BytesIO()
    place.download(name, target)
    return target.getvalue()


def _place(url: str, retries: CallRetries | None) -> tuple[GcsPlace, str]:
    found = split_url(url, "Object")
    if not isinstance(found, GcsUrl):
        raise StorageError(
            f"{url!r} is no place on Google Cloud Storage; give a URL such as gs://bucket/folder."
        )
    return GcsPlace(found.bucket, "", retries or CallRetries()), found.path
