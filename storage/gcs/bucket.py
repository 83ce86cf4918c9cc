"""A bucket on Google Cloud Storage, below a prefix.

An upload is seen whole or not at all, so nothing is staged. Each write says which version it
replaces (a generation; 0 is none), so that a call that is tried again cannot overwrite what came in
between; where a reply was lost, the object tells whether it is ours. The sum of the bytes is taken
when they come in, and the service refuses what does not have it. What is read is checked here,
since the library does not check what it had to resume.
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
from diamond_cutter.storage.gcs.place import GcsPlace, encoded
from diamond_cutter.storage.retries import TRANSFER_ATTEMPTS, CallRetries
from diamond_cutter.storage.sets.layout import cache_control_of

if TYPE_CHECKING:
    from google.cloud.storage import Blob

_CHUNK_BYTES = 8 << 20
_LISTED = "items(name,size,crc32c,generation,updated,contentType),nextPageToken"
_PUT_ID = "put-id"


class GcsBucket:
    """A bucket on Google Cloud Storage; it connects when it is first used."""

    def __init__(self, name: str, prefix: str = "", retries: CallRetries | None = None) -> None:
        self._place = GcsPlace(name, prefix, retries or CallRetries())
        self.url, self.transfers = self._place.url, TRANSFERS

    def check(self) -> None:
        """Raise, with the remedy, unless objects can be kept here."""
        # A listing also tells a missing bucket from an empty one, which asking for an object does
        # not.
        with self._place.explained(f"look at {self.url}"):
            next(iter(self._place.listing(prefix=self._place.folder, max_results=1)), None)
        self._place.check_may_write()

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Keep the bytes, or those of a file, under the key.

        Raises:
            Conflict: other bytes are there (`create`), or the object is gone or another version
                (token).
            Corrupt: the bytes arrive damaged again and again, or the file changes while it is read.
        """
        if not isinstance(mode, Token) and mode not in ("create", "overwrite"):
            raise ValueError(f"mode is {mode!r}; it must be 'create', 'overwrite' or a Token")
        check_key(key)
        with staging.opened(data) as source:
            size, crc = _measured(data, source)
            for _ in range(TRANSFER_ATTEMPTS):
                source.seek(0)
                found = self._put_once(key, source, size, crc, mode)
                if found is not None:
                    return found
        raise Corrupt(
            f"The bytes of {key!r} arrive damaged at {self.url} again and again; look at the "
            "network, or at who changes the file."
        )

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the object's bytes.

        Raises:
            NotFound: there is no such object.
            Corrupt: the CRC32C of the bytes is not `want_crc`, or they arrive damaged again and
                again.
        """
        check_key(key)
        target = io.BytesIO()
        self._place.download(key, target, want_crc)
        return target.getvalue()

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all, making the folders that it needs.

        Raises:
            NotFound: there is no such object.
            Corrupt: the CRC32C of the bytes is not `want_crc`, or they arrive damaged; what was at
                `path` before is still there.
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
                        continue  # replaced since it was looked at
                    staging.flush(target)
                    os.replace(staged, path)
                    return info
        raise self._place.not_found(key)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, or None where there is none."""
        blob = self._look(key)
        return None if blob is None else self._place.info(blob)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in the byte order of their keys."""
        check_prefix(prefix)
        return self._list(prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders right below `prefix` that hold an object, each ending in '/', in byte
        order.
        """
        check_folder(prefix)
        return self._list_folders(prefix)

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Remove the object, or only the version that the token names; an object that is not there
        is fine.

        Raises:
            Conflict: the object is another version than the token's.
        """
        check_key(key)
        try:
            with self._place.explained(f"delete {key!r} in {self.url}"):
                self._place.blob(key).delete(
                    if_generation_match=_generation(token) if token else None,
                    **self._place.call_options(),
                )
        except Exception as error:
            # After a lost reply the service says that it is not there, which is what was wanted.
            if status_of(error) not in (404, 412):
                raise
            if token and self.stat(key) is not None:
                raise self._place.changed(key) from error

    def _put_once(
        self, key: str, source: BinaryIO, size: int, crc: int, mode: PutMode
    ) -> ObjectInfo | None:
        """Return what was kept, or None if the bytes arrived damaged."""
        put_id = uuid.uuid4().hex
        condition = (
            {"create": 0, "overwrite": None}[mode] if isinstance(mode, str) else _generation(mode)
        )
        try:
            with self._place.explained(f"keep {key!r} in {self.url}"):
                blob = self._place.blob(key)
                blob.crc32c = encoded(crc)
                blob.cache_control = cache_control_of(key)
                blob.metadata = {_PUT_ID: put_id}
                if size > _CHUNK_BYTES:
                    blob.chunk_size = _CHUNK_BYTES
                # Without a sum of its own the library leaves ours, which the service compares with
                # what it gets.
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
        """Find out what a refused write means: the reply to ours may have been lost, and the try
        after it refused.
        """
        present = self._look(key)
        if present is not None and (present.metadata or {}).get(_PUT_ID) == put_id:
            return self._place.info(present)
        if isinstance(mode, Token):
            raise self._place.changed(key) if present else self._place.gone(key) from error
        if present is None:
            return None  # it went in between: once more
        if (present.size, present.crc32c) == (size, encoded(crc)):
            return self._place.info(present)
        raise Conflict(
            f"Key {key!r} in {self.url} was kept because it holds other bytes ({present.size}) "
            f"than the new ones ({size}); use what is "
            "there, or choose another key."
        ) from error

    def _look(self, key: str) -> "Blob | None":
        check_key(key)
        try:
            with self._place.explained(f"look at {key!r} in {self.url}"):
                blob = self._place.blob(key)
                blob.reload(**self._place.call_options())
        except Exception as error:
            if status_of(error) == 404:
                return None
            raise
        return blob

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._place.explained(f"list {self.url}"):
            for blob in self._place.listing(prefix=self._place.folder + prefix, fields=_LISTED):
                # What others have put there may have any name; it is no part of the bucket.
                if is_key(blob.name[len(self._place.folder) :]):
                    yield self._place.info(blob)

    def _list_folders(self, prefix: str) -> Iterator[str]:
        with self._place.explained(f"list {self.url}"):
            pages = self._place.listing(
                prefix=self._place.folder + prefix, delimiter="/", fields="prefixes,nextPageToken"
            ).pages
            found = {name[len(self._place.folder) :] for page in pages for name in page.prefixes}
        return iter(sorted(name for name in found if is_key(name[:-1])))


def _measured(data: bytes | Path, source: BinaryIO) -> tuple[int, int]:
    """Return the size and the sum of what is to be kept."""
    if isinstance(data, bytes):
        return len(data), crc32c(data)
    sum_of_all = staging.checksum(source)
    return source.tell(), sum_of_all


def _generation(token: Token) -> int:
    # No generation is negative: a token of another kind of bucket names no version here.
    return int(token.value) if token.value.isdecimal() else -1
