"""A prefix in a bucket on Google Cloud Storage, and the calls to the library for it."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import google_crc32c

from diamond_cutter.storage.bucket import ObjectInfo, Token, check_key, content_type_of
from diamond_cutter.storage.errors import (
    AccessDenied,
    BadKey,
    Conflict,
    Corrupt,
    NotFound,
    StorageError,
)
from diamond_cutter.storage.gcs.client import connect, retry_policy
from diamond_cutter.storage.gcs.errors import explained, status_of
from diamond_cutter.storage.retries import TRANSFER_ATTEMPTS, CallRetries

if TYPE_CHECKING:
    from google.cloud.storage import Blob

MAX_PREFIX_BYTES = 1024 - 900 - 1
_PAGE = 1000
_UNKNOWN_QUESTION = {400, 404, 405, 501}
_Found = TypeVar("_Found")
_BUCKET_NAME = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"


class GcsPlace:
    """A prefix in a bucket, connected at its first use."""

    def __init__(self, name: str, prefix: str, retries: CallRetries) -> None:
        if not re.fullmatch(_BUCKET_NAME, name):
            raise StorageError(
                f"{name[:80]!r} is not a valid name of a bucket: expected 3 to 63 lower-case "
                "letters, digits and -_. Give a URL such as gs://my-bucket/sprites."
            )
        if prefix:
            check_key(prefix)
        if len(prefix) > MAX_PREFIX_BYTES:
            raise BadKey(
                f"the prefix in the bucket is too long: expected at most {MAX_PREFIX_BYTES} "
                f"characters, found {len(prefix)}"
            )
        self._name, self.folder = name, f"{prefix}/" if prefix else ""
        self._retries = retries
        self.url = f"gs://{name}/{prefix}".rstrip("/")

    def blob(self, key: str, generation: int | None = None) -> "Blob":
        """Return a new handle of the library for an object, or for one version of it."""
        # Handles keep checksums and positions of earlier calls.
        return connect(self._name).blob(self.folder + key, generation=generation)

    def call_options(self) -> dict[str, Any]:
        """Return the arguments about retries and timeouts for each call of the library."""
        return {"retry": retry_policy(self._retries), "timeout": self._retries.silence_s}

    def explained(self, doing: str) -> AbstractContextManager[None]:
        """Convert errors of the libraries into ours; `doing` completes "cannot ..."."""
        return explained(doing, self._name)

    def read(self, key: str, call: Callable[[], _Found]) -> _Found:
        """Return the result of a call that reads an object, with its errors converted."""
        try:
            with self.explained(f"read {key!r} in {self.url}"):
                return call()
        except Exception as error:
            if status_of(error) == 404:
                raise self.not_found(key) from error
            raise

    def download(
        self, key: str, target: BinaryIO, want_crc: int | None = None, generation: int | None = None
    ) -> None:
        """Write the object to the file and verify its CRC32C: `want_crc`, or else the stored one.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`, or every download arrived damaged.
        """

        def download() -> tuple[int, int | None]:
            target.seek(0)
            target.truncate()
            summing, blob = _Summing(target), self.blob(key, generation)
            blob.download_to_file(summing, raw_download=True, checksum=None, **self.call_options())
            return summing.crc, decoded(blob.crc32c)

        for _ in range(TRANSFER_ATTEMPTS):
            found, there = self.read(key, download)
            if found == (want_crc if there is None else there):
                break
        if want_crc is not None and found != want_crc:
            raise Corrupt(
                f"{key!r} in {self.url} is damaged: expected CRC32C {want_crc:08x}, found "
                f"{found:08x}. Delete the object and create it again."
            )
        if there is not None and found != there:
            raise Corrupt(
                f"every download of {key!r} from {self.url} arrived damaged. Check the network, "
                "then try again."
            )

    def info(self, blob: "Blob") -> ObjectInfo:
        """Return the metadata of an object."""
        key, sum_of_all = blob.name[len(self.folder) :], decoded(blob.crc32c)
        kind = blob.content_type or content_type_of(key)
        token = Token(str(blob.generation))
        return ObjectInfo(key, blob.size, sum_of_all, token, blob.updated, kind)

    def not_found(self, key: str) -> NotFound:
        """Return the error for a missing object."""
        return NotFound(f"{key!r} does not exist in {self.url}. Run the step that creates it.")

    def changed(self, key: str) -> Conflict:
        """Return the error for a version that has changed."""
        return Conflict(
            f"key {key!r} in {self.url} has changed since it was read, and was kept. Read it "
            "again, then try again."
        )

    def gone(self, key: str) -> Conflict:
        """Return the error for a replacement of a missing object."""
        return Conflict(
            f"key {key!r} in {self.url} was deleted before it was replaced. Create it instead."
        )

    def listing(self, **options: Any) -> Iterator[Mapping[str, str]]:
        """Yield the properties of objects as the service names them.

        The library would make a `Blob` of each, which takes most of the time of a long listing.
        """
        for page in self.pages(**options):
            yield from page.get("items", ())

    def pages(self, **options: Any) -> Iterator[Mapping[str, Any]]:
        """Yield the responses of the service to a listing."""
        bucket, options = connect(self._name), {"page_size": _PAGE, **options}
        listed = bucket.client.list_blobs(bucket, **options, **self.call_options())
        return (page.raw_page for page in listed.pages)

    def check_may_write(self) -> None:
        """Check the permissions to create, read and delete objects."""
        from google.api_core.exceptions import GoogleAPICallError

        needed = ["storage.objects.create", "storage.objects.delete", "storage.objects.get"]
        with self.explained(f"read the permissions of {self.url}"):
            try:
                granted = connect(self._name).test_iam_permissions(needed, **self.call_options())
            except GoogleAPICallError as error:
                # Servers of others may not support this request.
                if error.code not in _UNKNOWN_QUESTION:
                    raise
                return
        if missing := [each for each in needed if each not in granted]:
            raise AccessDenied(
                f"not allowed to write to {self.url} ({', '.join(missing)} missing). Request the "
                f"role roles/storage.objectUser on gs://{self._name}."
            )


class _Summing:
    """A file that computes the CRC32C of the bytes written to it."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self.crc = target, 0

    def write(self, chunk: bytes) -> int:
        self.crc = google_crc32c.extend(self.crc, chunk)
        return self._target.write(chunk)


def encoded(crc: int) -> str:
    """Return a CRC32C in the encoding of the service."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def listed_info(key: str, found: Mapping[str, str]) -> ObjectInfo:
    """Return the metadata of an object from its properties in a listing."""
    return ObjectInfo(
        key,
        int(found["size"]),
        decoded(found.get("crc32c")),
        Token(found["generation"]),
        datetime.fromisoformat(found["updated"]),
        found.get("contentType") or content_type_of(key),
    )


def decoded(crc: str | None) -> int | None:
    """Return the CRC32C from the encoding of the service, None if there is none."""
    return int.from_bytes(base64.b64decode(crc), "big") if crc else None
