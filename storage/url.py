"""Parsing of the paths and URLs that users give for folders, buckets and objects."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from diamond_cutter.storage.errors import StorageError


class GcsUrl(NamedTuple):
    """A bucket, and the name of an object, a prefix or nothing in it."""

    bucket: str
    path: str


def split_url(text: str, what: str) -> Path | GcsUrl:
    """Return the local path of a path or `file://` URL, or the parts of a `gs://` URL.

    Args:
        text: the path or URL.
        what: names it in errors, such as `bucket`.

    Raises:
        StorageError: the URL has another scheme, or names another machine.
    """
    # One slash is enough, because a Path made from a URL has only one.
    scheme, _, place = (
        text.partition(":/") if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) else ("", "", text)
    )
    if scheme.lower() == "file":
        return _file_path(text, place, what)
    if scheme.lower() == "gs":
        # urlsplit would cut the names of objects at '?' and '#'.
        bucket, _, path = place.removeprefix("/").partition("/")
        return GcsUrl(bucket, path)
    if scheme:
        raise StorageError(
            f"{what} {text!r} has the unknown scheme {scheme!r}: expected file or gs. Give the "
            "path of a local folder, a file:// URL or a gs:// URL."
        )
    return Path(text).expanduser()


def _file_path(text: str, place: str, what: str) -> Path:
    host, slash, path = place[1:].partition("/") if place.startswith("/") else ("", "/", place)
    if host not in ("", "localhost") or not slash:
        raise StorageError(
            f"{what} {text!r} names the host {host!r}: expected an absolute path on this machine, "
            "such as file:///data/bucket"
        )
    # The name of a file can be bytes that are not valid text.
    return Path("/" + unquote(path, errors="surrogateescape"))
