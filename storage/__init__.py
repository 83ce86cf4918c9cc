"""Where pictures and records are kept: a bucket, in a local folder or on Google Cloud Storage."""

import re
from pathlib import Path
from urllib.parse import unquote

from storage.bucket import Bucket, ObjectInfo, Token, check_key, content_type_of, crc32c
from storage.errors import AccessDenied, BadKey, Conflict, Corrupt, CredentialsError, NotFound, StorageError, Unavailable
from storage.gcs import GcsBucket
from storage.local import LocalBucket

__all__ = [
    "AccessDenied",
    "BadKey",
    "Bucket",
    "Conflict",
    "Corrupt",
    "CredentialsError",
    "GcsBucket",
    "LocalBucket",
    "NotFound",
    "ObjectInfo",
    "StorageError",
    "Token",
    "Unavailable",
    "check_key",
    "content_type_of",
    "crc32c",
    "open_bucket",
]


def open_bucket(url: str | Path) -> Bucket:
    """Return the bucket at a local path, or at a `file://` or `gs://` URL, without touching it.

    Raises:
        StorageError: the URL is of a kind that this version does not know.
    """
    text = str(url)
    # One slash is enough: a Path made of a URL has lost the other.
    scheme, _, place = text.partition(":/") if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) else ("", "", text)
    if scheme.lower() == "file":
        return LocalBucket(_file_path(text, place))
    if scheme.lower() == "gs":
        # Not by urlsplit: it would drop what is behind a '?' or a '#', which no key may hold.
        name, _, prefix = place.removeprefix("/").partition("/")
        return GcsBucket(name, prefix.removesuffix("/"))
    if scheme:
        raise StorageError(
            f"Bucket {text!r} has the unknown scheme {scheme!r}; give a local folder, as a path or a file:// URL, or a gs:// URL."
        )
    if not text:
        raise StorageError("The bucket is given as an empty text; give the path of a local folder.")
    return LocalBucket(Path(text).expanduser())


def _file_path(text: str, place: str) -> Path:
    host, slash, path = place[1:].partition("/") if place.startswith("/") else ("", "/", place)
    if host not in ("", "localhost") or not slash:
        raise StorageError(f"Bucket {text!r} names the host {host!r}; give an absolute path of this machine, as in file:///data/bucket.")
    return Path("/" + unquote(path))
