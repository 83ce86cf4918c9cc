"""The contract that every bucket keeps, whatever it is made of.

An object is a key and some bytes. It is seen whole or not at all, also by those who read while it
is written and after a crash of its writer. Keys look the same everywhere, so that a bucket can be
copied from one kind of place to another.
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
    f"a key is names of letters, digits and _=@+,.- of at most {MAX_NAME_BYTES} bytes, "
    "with one '/' between them"
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
    """Names one version of one object; it means nothing outside its bucket, and two tokens can only
    be compared.
    """

    value: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a bucket knows of an object without reading it.

    `size` is in bytes. `crc32c` is None where the bucket would have to read the object to know it.
    """

    key: str
    size: int
    crc32c: int | None
    token: Token
    updated: datetime
    content_type: str


PutMode = Literal["create", "overwrite"] | Token


class Bucket(Protocol):
    """A place for objects: a local folder, or a bucket of a cloud.

    No key may be a folder of another one: with `a/b`, neither `a` nor `a/b/c`. Every method raises
    `BadKey` for what `check_key` refuses, `AccessDenied` or `CredentialsError` where it is not
    allowed, and `Unavailable` where the place fails. All methods may be called by several threads;
    `transfers` tells how many of them at once are worth their while.
    """

    url: str
    transfers: int

    def check(self) -> None:
        """Raise, with the remedy, unless objects can be kept here."""

    def put(self, key: str, data: bytes | Path, *, mode: PutMode = "create") -> ObjectInfo:
        """Keep the bytes, or those of a file, under the key.

        Mode `create` writes only where nothing is: the same bytes again are a success. A token
        replaces exactly the version that it names (compare-and-swap). `overwrite` replaces whatever
        is there.

        Raises:
            Conflict: other bytes are there (`create`), or the object is gone or another version
                (token).
        """

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        """Return the object's bytes.

        Raises:
            NotFound: there is no such object.
            Corrupt: the CRC32C of the bytes is not `want_crc`.
        """

    def fetch(self, key: str, path: Path, *, want_crc: int | None = None) -> ObjectInfo:
        """Copy the object to a file, whole or not at all, making the folders that it needs.

        Raises:
            NotFound: there is no such object.
            Corrupt: the CRC32C of the bytes is not `want_crc`; what was at `path` before is still
                there.
        """

    def stat(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, or None where there is none."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in the byte order of their keys.

        A prefix is no folder: `runs/r1` also finds `runs/r10/...`, `runs/r1/` does not.
        """

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield the folders right below `prefix` ('' or ending in '/') that hold an object, each
        ending in '/', in byte order.
        """

    def delete(self, key: str, *, token: Token | None = None) -> None:
        """Remove the object, or only the version that the token names; an object that is not there
        is fine.

        Raises:
            Conflict: the object is another version than the token's.
        """


def check_key(key: str) -> None:
    """Refuse every key that is not safe and the same in a folder and in a cloud.

    Raises:
        BadKey: naming the key and the rule that it breaks.
    """
    if len(key) > MAX_KEY_BYTES:
        raise BadKey(
            f"Key {_shown(key)} is refused because it has {len(key)} characters; at most "
            f"{MAX_KEY_BYTES} are allowed."
        )
    for name in key.split("/"):
        broken = _broken_rule(name)
        if broken:
            raise BadKey(f"Key {_shown(key)} is refused because {broken}; {_KEY_RULE}.")


def check_prefix(prefix: str) -> None:
    """Refuse every prefix that no key can begin with.

    Raises:
        BadKey: naming the prefix and the rule that it breaks.
    """
    folder, slash, begun = prefix.rpartition("/")
    names = folder.split("/") if slash else []
    # What follows the last slash is the beginning of a name, which any letter completes.
    for name in [*names, begun if len(begun) == MAX_NAME_BYTES else begun + "x"]:
        broken = _broken_rule(name)
        if broken:
            raise BadKey(f"Prefix {_shown(prefix)} is refused because {broken}; {_KEY_RULE}.")


def check_folder(prefix: str) -> None:
    """Refuse every prefix that is neither '' nor a folder ending in '/'.

    Raises:
        BadKey: naming the prefix and the rule that it breaks.
    """
    check_prefix(prefix)
    if prefix and not prefix.endswith("/"):
        raise BadKey(
            f"Prefix {_shown(prefix)} is refused because it does not end in '/'; folders are "
            "listed in a folder."
        )


def is_key(text: str) -> bool:
    """Tell whether an object can have this key."""
    return len(text) <= MAX_KEY_BYTES and all(map(is_name, text.split("/")))


def is_name(name: str) -> bool:
    """Tell whether a file or folder of this name can be part of a key."""
    return _broken_rule(name) is None


def _broken_rule(name: str) -> str | None:
    if not name:
        return "it has an empty name in it"
    if not _NAME.fullmatch(name):
        return "it has a character in it that is not allowed"
    if name.startswith(".") or name.endswith("."):
        return "a name in it begins or ends with a dot"
    if len(name) > MAX_NAME_BYTES:
        return f"a name in it has {len(name)} characters"
    return None


def _shown(key: str) -> str:
    escaped = ascii(key)
    return escaped if len(escaped) <= 120 else f"{escaped[:100]}... ({len(key)} characters)"


def crc32c(data: bytes) -> int:
    """Return the CRC32C (Castagnoli) checksum of the bytes, as Google Cloud Storage computes it."""
    return int(google_crc32c.value(data))


def content_type_of(key: str) -> str:
    """Return the content type that the key's suffix stands for."""
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
