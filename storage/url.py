"""What a user's text for a place means: a local folder, or a place on Google Cloud Storage."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from diamond_cutter.storage.errors import StorageError


class GcsUrl(NamedTuple):
    """A bucket, and what is behind it: an object's name, a prefix, or nothing."""

    bucket: str
    path: str


def split_url(text: str, what: str) -> Path | GcsUrl:
    """Return the local path that a path or a `file://` URL means, or the parts of a `gs://` URL;
    `what` begins the sentence of an error.

    Raises:
        StorageError: the URL is of another kind, or of another machine.
    """
    # One slash is enough: a Path made of a URL has lost the other.
    scheme, _, place = (
        text.partition(":/") if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) else ("", "", text)
    )
    if scheme.lower() == "file":
        return _file_path(text, place, what)
    if scheme.lower() == "gs":
        # Not by urlsplit: it would drop what is behind a '?' or a '#', which an object's name may
        # hold.
        bucket, _, path = place.removeprefix("/").partition("/")
        return GcsUrl(bucket, path)
    if scheme:
        raise StorageError(
            f"{what} {text!r} has the unknown scheme {scheme!r}; give a local folder, as a path "
            "or a file:// URL, or a gs:// URL."
        )
    return Path(text).expanduser()


def _file_path(text: str, place: str, what: str) -> Path:
    host, slash, path = place[1:].partition("/") if place.startswith("/") else ("", "/", place)
    if host not in ("", "localhost") or not slash:
        raise StorageError(
            f"{what} {text!r} names the host {host!r}; give an absolute path of this machine, as "
            "in file:///data/bucket."
        )
    # A file's name may be bytes that are no text.
    return Path("/" + unquote(path, errors="surrogateescape"))
