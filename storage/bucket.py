"""The contract of every bucket, local or in a cloud.

An object is a key and some bytes. Readers see it whole or not at all, even while it is written or
after its writer crashed. Keys have the same form everywhere, so that buckets can be copied.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

import google_crc32c

from diamond_cutter.storage.errors import BadKey

MAX_KEY_BYTES = 900
MAX_NAME_BYTES = 200

_NAME = re.compile("[A-Za-z0-9_=@+,.-]+")
_KEY_RULE = (
    f"Keys consist of names of at most {MAX_NAME_BYTES} letters, digits and _=@+,.- with one '/' "
    "between them"
)

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".pb": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class Token:
    """The name of one version of an object in its bucket; tokens can only be compared."""

    value: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Metadata of an object.

    Attributes:
        key: of the object.
        size: in bytes.
        crc32c: the stored checksum, None if the bucket stores none.
        token: the version of the object.
        updated: time of the last write.
        content_type: the MIME type.
    """

    key: str
    size: int
    crc32c: int | None
    token: Token
    updated: datetime
    content_type: str


PutMode = Literal["create", "overwrite"] | Token


class Bucket(Protocol):
    """A store of objects: a local folder, or a bucket in a cloud.

    No key may be a folder of another key: with `a/b`, neither `a` nor `a/b/c` can exist. Every
    method raises `BadKey` for invalid keys, `AccessDenied` or `CredentialsError` if the access is
    not allowed, and `Unavailable` if the store fails. All methods are thread-safe.

    Attributes:
        url: of the bucket.
        transfers: the number of concurrent calls that is fastest.
    """

    url: str
    transfers: int

    def check(self) -> None:
        """Check that objects can be written; raise an error that says what to do if not."""

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Write bytes, or the content of a file, to the key.

        Mode `create` writes only if the key is free; writing the same bytes again succeeds. A token
        replaces exactly the version that it names (compare-and-swap). `overwrite` always writes.

        Raises:
            Conflict: the key holds other bytes (`create`), or another version or none (token).
        """

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the bytes of the object.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`.
        """

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all, and create missing folders.

        Raises:
            NotFound: the object does not exist.
            Corrupt: the CRC32C of the bytes is not `want_crc`. A file at `path` is kept.
        """

    def stat(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object, or None if it does not exist."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in the byte order of their keys.

        A prefix need not be a folder: `runs/r1` also matches `runs/r10/...`, `runs/r1/` does not.
        """

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders directly in the folder `prefix`, each ending in '/', in byte order.

        The prefix is '' or ends in '/'. A folder exists while it holds an object.
        """

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Delete the object, if it exists; with a token only the version that it names.

        Raises:
            Conflict: the object has another version.
        """


def check_key(key: str) -> None:
    """Refuse every key that is not valid both in a folder and in a cloud.

    Raises:
        BadKey: names the key and the rule that it breaks.
    """
    if len(key) > MAX_KEY_BYTES:
        raise BadKey(
            f"key {_shown(key)} is not valid: expected at most {MAX_KEY_BYTES} characters, found "
            f"{len(key)}"
        )
    for name in key.split("/"):
        broken = _broken_rule(name)
        if broken:
            raise BadKey(f"key {_shown(key)} is not valid: {broken}. {_KEY_RULE}.")


def check_prefix(prefix: str) -> None:
    """Refuse every prefix that no key can begin with.

    Raises:
        BadKey: names the prefix and the rule that it breaks.
    """
    folder, slash, begun = prefix.rpartition("/")
    names = folder.split("/") if slash else []
    # The text after the last slash is the beginning of a name.
    for name in [*names, begun if len(begun) == MAX_NAME_BYTES else begun + "x"]:
        broken = _broken_rule(name)
        if broken:
            raise BadKey(f"prefix {_shown(prefix)} is not valid: {broken}. {_KEY_RULE}.")


def check_folder(prefix: str) -> None:
    """Refuse every prefix that is neither '' nor a folder ending in '/'.

    Raises:
        BadKey: names the prefix and the rule that it breaks.
    """
    check_prefix(prefix)
    if prefix and not prefix.endswith("/"):
        raise BadKey(f"prefix {_shown(prefix)} is not a folder: expected a prefix that ends in '/'")


def is_key(text: str) -> bool:
    """Tell whether the text is a valid key."""
    return len(text) <= MAX_KEY_BYTES and all(map(is_name, text.split("/")))


def is_name(name: str) -> bool:
    """Tell whether the name is valid in a key."""
    return _broken_rule(name) is None


def _broken_rule(name: str) -> str | None:
    if not name:
        return "it contains an empty name"
    if not _NAME.fullmatch(name):
        return "it contains a character that is not allowed"
    if name.startswith(".") or name.endswith("."):
        return "it contains a name that begins or ends with a dot"
    if len(name) > MAX_NAME_BYTES:
        return f"it contains a name of {len(name)} characters"
    return None


def _shown(key: str) -> str:
    escaped = ascii(key)
    return escaped if len(escaped) <= 120 else f"{escaped[:100]}... ({len(key)} characters)"


def crc32c(data: bytes) -> int:
    """Return the CRC32C (Castagnoli) checksum of the bytes, as Google Cloud Storage computes it."""
    return int(google_crc32c.value(data))


def content_type_of(key: str) -> str:
    """Return the content type for the suffix of the key."""
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
