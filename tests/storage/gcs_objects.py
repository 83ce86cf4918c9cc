"""The objects of a small, strict Google Cloud Storage: generations, preconditions, sums, unfinished
uploads. All in memory, for threads.

Wording follows https://cloud.google.com/storage/docs/json_api; the statuses are those of
https://cloud.google.com/storage/docs/json_api/v1/status-codes.
"""

import base64
import bisect
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import google_crc32c

MAX_NAME_BYTES = 1024
_SETTABLE = {
    "name",
    "bucket",
    "contentType",
    "cacheControl",
    "metadata",
    "crc32c",
    "size",
    "storageClass",
}


class Refusal(Exception):
    """The answer of a server that does not do what was asked."""

    def __init__(self, status: int, message: str, reason: str = "invalid") -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason


@dataclass(frozen=True)
class StoredObject:
    """The bytes of an object, as one version of it."""

    data: bytes
    generation: int
    content_type: str = "application/octet-stream"
    cache_control: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()

    @cached_property
    def when(self) -> str:
        return self.updated.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def resource(self, bucket: str, name: str) -> dict[str, Any]:
        """Return it as the API describes objects."""
        found = {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/{self.generation}",
            "name": name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "contentType": self.content_type,
            "size": str(len(self.data)),
            "crc32c": self.crc32c,
            "timeCreated": self.when,
            "updated": self.when,
        }
        if self.cache_control:
            found["cacheControl"] = self.cache_control
        return found | ({"metadata": dict(self.metadata)} if self.metadata else {})


@dataclass
class Upload:
    """A resumable upload that has begun."""

    bucket: str
    description: dict[str, Any]
    query: dict[str, str]
    size: int | None
    received: bytearray = field(default_factory=bytearray)
    kept: StoredObject | None = None


class Objects:
    """All buckets, with what is needed to keep their promises among threads."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.uploads: dict[str, Upload] = {}
        self.lock = threading.RLock()
        self._generations = itertools.count(1_700_000_000_000_001)
        self._sorted: dict[str, tuple[int, list[str]]] = {}
        self._changes = 0

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        content_type: str = "application/octet-stream",
        **facts: Any,
    ) -> StoredObject:
        """Keep an object, whatever is there; the bucket is made."""
        with self.lock:
            kept = StoredObject(data, next(self._generations), content_type, **facts)
            objects = self.buckets.setdefault(bucket, {})
            self._changes += name not in objects
            objects[name] = kept
            return kept

    def make(self, bucket: str) -> None:
        """Make a bucket, or empty the one that is there."""
        with self.lock:
            self.buckets[bucket] = {}
            self._changes += 1

    def of(self, bucket: str) -> dict[str, StoredObject]:
        if bucket not in self.buckets:
            raise Refusal(404, "The specified bucket does not exist.", "notFound")
        return self.buckets[bucket]

    def find(self, bucket: str, name: str, query: Mapping[str, str]) -> StoredObject:
        found = self.of(bucket).get(name)
        if not found or query.get("generation", str(found.generation)) != str(found.generation):
            raise Refusal(404, f"No such object: {bucket}/{name}", "notFound")
        self.check_conditions(found, query)
        return found

    def create(
        self, bucket: str, description: Mapping[str, Any], data: bytes, query: Mapping[str, str]
    ) -> StoredObject:
        """Keep what a client sends, if its conditions hold and its sum is right."""
        with self.lock:
            name = check_description(bucket, description)
            self.check_conditions(self.of(bucket).get(name), query)
            sent = google_crc32c.value(data).to_bytes(4, "big")
            if "crc32c" in description and description["crc32c"] != (
                calculated := base64.b64encode(sent).decode()
            ):
                raise Refusal(
                    400,
                    f'Provided CRC32C "{description["crc32c"]}" doesn\'t match calculated CRC32C '
                    f'"{calculated}".',
                )
            content_type = str(description.get("contentType", "application/octet-stream"))
            facts = {
                "cache_control": description.get("cacheControl"),
                "metadata": description.get("metadata") or {},
            }
            return self.put(bucket, name, data, content_type, **facts)

    def delete(self, bucket: str, name: str, query: Mapping[str, str]) -> None:
        with self.lock:
            self.find(bucket, name, query)
            del self.buckets[bucket][name]
            self._changes += 1

    def listing(
        self, bucket: str, query: Mapping[str, str]
    ) -> tuple[list[tuple[str, StoredObject]], list[str], str | None]:
        """Return a page: objects, prefixes, and where the next page begins, all in byte order of
        names.
        """
        with self.lock:
            objects, names = self.of(bucket), self._names(bucket)
            prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
            limit = int(query.get("maxResults", "1000"))
            after = base64.b64decode(query["pageToken"]).decode() if "pageToken" in query else ""
            found: list[tuple[str, StoredObject]] = []
            folders: list[str] = []
            last = after
            for name in names[bisect.bisect_left(names, max(prefix, after)) :]:
                if not name.startswith(prefix):
                    break
                below = name[len(prefix) :]
                is_folder = delimiter != "" and delimiter in below
                entry = prefix + below.partition(delimiter)[0] + delimiter if is_folder else name
                if entry <= last:
                    continue
                if len(found) + len(folders) == limit:
                    return found, folders, base64.b64encode(last.encode()).decode()
                last = entry
                if is_folder:
                    folders.append(entry)
                else:
                    found.append((name, objects[name]))
            return found, folders, None

    def _names(self, bucket: str) -> list[str]:
        change, names = self._sorted.get(bucket, (-1, []))
        if change != self._changes:
            names = sorted(self.buckets[bucket])
            self._sorted[bucket] = self._changes, names
        return names

    def check_conditions(self, found: StoredObject | None, query: Mapping[str, str]) -> None:
        if "ifGenerationMatch" in query and query["ifGenerationMatch"] != str(
            found.generation if found else 0
        ):
            raise Refusal(
                412,
                "At least one of the pre-conditions you specified did not hold.",
                "conditionNotMet",
            )


def check_description(bucket: str, description: Mapping[str, Any]) -> str:
    """Return the name that a client gives an object."""
    if unknown := set(description) - _SETTABLE:
        raise Refusal(400, f"unknown fields {sorted(unknown)}")
    name = description.get("name")
    if (
        not isinstance(name, str)
        or not 0 < len(name.encode()) <= MAX_NAME_BYTES
        or "\n" in name
        or "\r" in name
    ):
        raise Refusal(400, "The specified object name is not valid.")
    if description.get("bucket", bucket) != bucket:
        raise Refusal(400, "The bucket of the object is not that of the address.")
    return name
