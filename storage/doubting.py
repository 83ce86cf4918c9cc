"""A bucket that is not believed: whoever wants to know the sum of an object has to read it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from diamond_cutter.storage.bucket import Bucket, ObjectInfo, PutMode, Token


class WithoutSums:
    """Another bucket, which does not tell the checksums that it knows."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self.url, self.transfers = bucket, bucket.url, bucket.transfers

    def check(self) -> None:
        """Raise, with the remedy, unless objects can be kept here."""
        self._bucket.check()

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Keep the bytes, or those of a file, under the key."""
        return self._bucket.put(key, data, mode=mode)

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the object's bytes."""
        return self._bucket.get(key, want_crc=want_crc)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Return bytes `start` to `end`, `end` left out, as a slice would."""
        return self._bucket.get_range(key, start, end)

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all."""
        return self._bucket.fetch(key, path, want_crc=want_crc)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object but its sum, or None where there is none."""
        found = self._bucket.stat(key)
        return None if found is None else replace(found, crc32c=None)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, without their sums."""
        return (replace(info, crc32c=None) for info in self._bucket.list(prefix))

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders right below `prefix` that hold an object."""
        return self._bucket.folders(prefix)

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Remove the object, or only the version that the token names."""
        self._bucket.delete(key, token=token)
