"""A bucket on Google Cloud Storage, below a prefix.

Uploads are atomic, so nothing is staged. Each write names the version that it replaces (a
generation; 0 is none), so that a retried call cannot overwrite a later version. After a lost
response the metadata of the object tells whether our write succeeded. The service refuses bytes
that do not have the checksum that we computed first. Downloads are verified here, because the
library does not verify resumed ones.
"""

import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from diamond_cutter.storage import staging
from diamond_cutter.storage.bucket import (
    ObjectInfo,
    PutMode,
    Token,
    check_folder,
    check_key,
    check_prefix,
    content_type_of,
    crc32c,
    is_key,
)
from diamond_cutter.storage.errors import Conflict, Corrupt, NotFound
from diamond_cutter.storage.gcs.client import TRANSFERS
from diamond_cutter.storage.gcs.errors import is_about_sums, status_of
from diamond_cutter.storage.gcs.place import GcsPlace, encoded, listed_info
from diamond_cutter.storage.retries import TRANSFER_ATTEMPTS, CallRetries
from diamond_cutter.storage.sets.layout import cache_control_of

if TYPE_CHECKING:
    from google.cloud.storage import Blob

_CHUNK_BYTES = 8 << 20
_LISTED = "items(name,size,crc32c,generation,updated,contentType),nextPageToken"
_PUT_ID = "put-id"


class GcsBucket:
    """A bucket on Google Cloud Storage, connected at its first use."""

    def __init__(self, name: str, prefix: str = "", retries: CallRetries | None = None) -> None:
        self._place = GcsPlace(name, prefix, retries or CallRetries())
        self.url, self.transfers = self._place.url, TRANSFERS

    def check(self) -> None:
        """Check that objects can be written; raise an error that says what to do if not."""
        # Unlike a request for an object, a listing distinguishes missing from empty buckets.
        with self._place.explained(f"list {self.url}"):
            next(iter(self._place.listing(prefix=self._place.folder, max_results=1)), None)
        self._place.check_may_write()

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Write bytes, or the content of a file, to the key.

        Raises:
            Conflict: the key holds other bytes (`create`), or another version or none (token).
            Corrupt: every upload arrived damaged, or the file changed while it was read.
        """
        if not isinstance(mode, Token) and mode not in ("create", "overwrite"):
            raise ValueError(f"mode is {mode!r}: expected 'create', 'overwrite' or a Token")
        check_key(key)
        with staging.opened(data) as source:
            size, crc = _measured(data, source)
            for _ in range(TRANSFER_ATTEMPTS):
                source.seek(0)
                found = self._put_once(key, source, size, crc, mode)
                if found is not None:
                    return found
        raise Corrupt(
            f"every upload of {key!r} to {self.url} arrived damaged. Check the network, or what "
            "changes the file."
        )

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the bytes of the object.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`, or every download arrived damaged.
        """
        check_key(key)
        target = io.BytesIO()
        self._place.download(key, target, want_crc)
        return target.getvalue()

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all, and create missing folders.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`, or every download arrived damaged. A
                file at `path` is kept.
        """
        for _ in range(TRANSFER_ATTEMPTS):
            info = self.stat(key)
            if info is None:
                break
            with staging.explained(f"copy {key!r} to {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                staged = path.with_name("." + staging.staging_name())
                with staging.empty(staged) as target:
                    try:
                        self._place.download(
                            key, target, want_crc, generation=int(info.token.value)
                        )
                    except NotFound:
                        continue  # it was replaced meanwhile
                    staging.flush(target)
                    os.replace(staged, path)
                    return info
        raise self._place.not_found(key)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object, or None if it does not exist."""
        blob = self._look(key)
        return None if blob is None else self._place.info(blob)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in the byte order of their keys."""
        check_prefix(prefix)
        return self._list(prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders directly in the folder `prefix`, each ending in '/', in byte order."""
        check_folder(prefix)
        return self._list_folders(prefix)

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Delete the object, if it exists; with a token only the version that it names.

        Raises:
            Conflict: the object has another version.
        """
        check_key(key)
        try:
            with self._place.explained(f"delete {key!r} in {self.url}"):
                self._place.blob(key).delete(
                    if_generation_match=_generation(token) if token else None,
                    **self._place.call_options(),
                )
        except Exception as error:
            # After a lost response, the retry finds no object, as desired.
            if status_of(error) not in (404, 412):
                raise
            if token and self.stat(key) is not None:
                raise self._place.changed(key) from error

    def _put_once(
        self, key: str, source: BinaryIO, size: int, crc: int, mode: PutMode
    ) -> ObjectInfo | None:
        """Return the metadata of the object, or None if the bytes arrived damaged."""
        put_id = uuid.uuid4().hex
        condition = (
            {"create": 0, "overwrite": None}[mode] if isinstance(mode, str) else _generation(mode)
        )
        try:
            with self._place.explained(f"write {key!r} to {self.url}"):
                blob = self._place.blob(key)
                blob.crc32c = encoded(crc)
                blob.cache_control = cache_control_of(key)
                blob.metadata = {_PUT_ID: put_id}
                if size > _CHUNK_BYTES:
                    blob.chunk_size = _CHUNK_BYTES
                # With checksum=None the library sends our checksum, which the service verifies.
                options = {
                    "size": size,
                    "content_type": content_type_of(key),
                    "checksum": None,
                    "if_generation_match": condition,
                }
                blob.upload_from_file(source, **options, **self._place.call_options())
            return self._place.info(blob)
        except Exception as error:
            if is_about_sums(error):
                return None
            if status_of(error) != 412:
                raise
            return self._settle(key, size, crc, mode, put_id, error)

    def _settle(
        self, key: str, size: int, crc: int, mode: PutMode, put_id: str, error: Exception
    ) -> ObjectInfo | None:
        """Find out why a write was refused; an earlier attempt may have succeeded."""
        present = self._look(key)
        if present is not None and (present.metadata or {}).get(_PUT_ID) == put_id:
            return self._place.info(present)
        if isinstance(mode, Token):
            raise self._place.changed(key) if present else self._place.gone(key) from error
        if present is None:
            return None  # it was deleted meanwhile, so the write is repeated
        if (present.size, present.crc32c) == (size, encoded(crc)):
            return self._place.info(present)
        raise Conflict(
            f"key {key!r} in {self.url} exists with other content: expected {size} bytes, found "
            f"{present.size}. Use the existing object, or choose another key."
        ) from error

    def _look(self, key: str) -> "Blob | None":
        check_key(key)
        try:
            with self._place.explained(f"read {key!r} in {self.url}"):
                blob = self._place.blob(key)
                blob.reload(**self._place.call_options())
        except Exception as error:
            if status_of(error) == 404:
                return None
            raise
        return blob

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = self._place.folder
        with self._place.explained(f"list {self.url}"):
            for found in self._place.listing(prefix=folder + prefix, fields=_LISTED):
                key = found["name"][len(folder) :]
                # Objects of other programs can have any name, and are ignored.
                if is_key(key):
                    yield listed_info(key, found)

    def _list_folders(self, prefix: str) -> Iterator[str]:
        with self._place.explained(f"list {self.url}"):
            pages = self._place.pages(
                prefix=self._place.folder + prefix, delimiter="/", fields="prefixes,nextPageToken"
            )
            found = {
                name[len(self._place.folder) :]
                for page in pages
                for name in page.get("prefixes", ())
            }
        return iter(sorted(name for name in found if is_key(name[:-1])))


def _measured(data: bytes | Path, source: BinaryIO) -> tuple[int, int]:
    """Return the size and the checksum of the data."""
    if isinstance(data, bytes):
        return len(data), crc32c(data)
    sum_of_all = staging.checksum(source)
    return source.tell(), sum_of_all


def _generation(token: Token) -> int:
    # No generation is negative, so tokens of other kinds of buckets match no version.
    return int(token.value) if token.value.isdecimal() else -1
