"""Where objects of a bucket are on Google Cloud Storage, and how the library is asked for them."""

import base64
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
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
    """A prefix of a bucket; it connects when it is first used."""

    def __init__(self, name: str, prefix: str, retries: CallRetries) -> None:
        if not re.fullmatch(_BUCKET_NAME, name):
            raise StorageError(
                f"{name[:80]!r} cannot be the name of a bucket: small letters, digits and -_. are "
                "needed, 3 to 63 of them; "
                "give a URL such as gs://my-bucket/sprites."
            )
        if prefix:
            check_key(prefix)
        if len(prefix) > MAX_PREFIX_BYTES:
            raise BadKey(
                f"The prefix of the bucket has {len(prefix)} characters; at most "
                f"{MAX_PREFIX_BYTES} are allowed: give a shorter one."
            )
        self._name, self.folder = name, f"{prefix}/" if prefix else ""
        self._retries = retries
        self.url = f"gs://{name}/{prefix}".rstrip("/")

    def blob(self, key: str, generation: int | None = None) -> "Blob":
        """Return the library's handle of an object, or of one version of it."""
        # A fresh one for each call: the library's keep sums and positions of the call before.
        return connect(self._name).blob(self.folder + key, generation=generation)

    def call_options(self) -> dict[str, Any]:
        """Return what each call of the library takes of how long it may last."""
        return {"retry": retry_policy(self._retries), "timeout": self._retries.silence_s}

    def explained(self, doing: str) -> AbstractContextManager[None]:
        """Turn the libraries' errors into ours; `doing` completes "Not able to ..."."""
        return explained(doing, self._name)

    def read(self, key: str, call: Callable[[], _Found]) -> _Found:
        """Return what a call that reads an object gives, and turn its errors into ours."""
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
        """Write the object to the empty file, whose bytes then have the sum that is wanted, or else
        the service's.

        Raises:
            NotFound: there is no such object.
            Corrupt: the bytes are not those that are wanted, or they arrive damaged again and
                again.
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
                f"The bytes of {key!r} in {self.url} have CRC32C {found:08x} where {want_crc:08x} "
                "was expected; "
                "delete the object and make it again."
            )
        if there is not None and found != there:
            raise Corrupt(
                f"The bytes of {key!r} arrive damaged from {self.url} again and again; look at "
                "the network, then try again."
            )

    def info(self, blob: "Blob") -> ObjectInfo:
        """Return what the service has told of an object."""
        key, sum_of_all = blob.name[len(self.folder) :], decoded(blob.crc32c)
        return ObjectInfo(
            key,
            blob.size,
            sum_of_all,
            Token(str(blob.generation)),
            blob.updated,
            blob.content_type or content_type_of(key),
        )

    def not_found(self, key: str) -> NotFound:
        """Return what is to be raised where there is no object."""
        return NotFound(
            f"There is no {key!r} in {self.url}; look at what is there, or run the step that "
            "makes it."
        )

    def changed(self, key: str) -> Conflict:
        """Return what is to be raised where another version is there."""
        return Conflict(
            f"Key {key!r} in {self.url} has changed since it was looked at and was kept; look "
            "again, then try again."
        )

    def gone(self, key: str) -> Conflict:
        """Return what is to be raised where there is nothing to replace."""
        return Conflict(
            f"Key {key!r} in {self.url} was to be replaced but is not there any more; create it "
            "instead."
        )

    def listing(self, **options: Any) -> Any:
        """Return the library's iterator over objects."""
        bucket = connect(self._name)
        return bucket.client.list_blobs(bucket, page_size=_PAGE, **options, **self.call_options())

    def check_may_write(self) -> None:
        """Raise unless objects may be created, read and deleted here."""
        from google.api_core.exceptions import GoogleAPICallError

        needed = ["storage.objects.create", "storage.objects.delete", "storage.objects.get"]
        with self.explained(f"look at what is allowed in {self.url}"):
            try:
                granted = connect(self._name).test_iam_permissions(needed, **self.call_options())
            except GoogleAPICallError as error:
                # Servers that are not Google's may not know the question.
                if error.code not in _UNKNOWN_QUESTION:
                    raise
                return
        if missing := [each for each in needed if each not in granted]:
            raise AccessDenied(
                f"Not allowed to keep objects in {self.url} ({', '.join(missing)} missing); have "
                "the role roles/storage.objectUser on "
                f"gs://{self._name} granted."
            )


class _Summing:
    """A file to write to that takes the sum of what is written."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self.crc = target, 0

    def write(self, chunk: bytes) -> int:
        self.crc = google_crc32c.extend(self.crc, chunk)
        return self._target.write(chunk)


def encoded(crc: int) -> str:
    """Return a CRC32C as the service writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def decoded(crc: str | None) -> int | None:
    """Return the CRC32C that the service has written, if it has."""
    return int.from_bytes(base64.b64decode(crc), "big") if crc else None
