"""Views over records, which each run builds again: published whole, and checked against what was
published.

A view is the only kind of file that is replaced. Its record is replaced before it, and names both
contents in between, so that a killed run leaves no view that contradicts its record.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from diamond_cutter.storage.bucket import Bucket
from diamond_cutter.storage.errors import Conflict, NotFound
from diamond_cutter.storage.retries import write_until_settled
from diamond_cutter.storage.sets.layout import view_record_key
from diamond_cutter.storage.sets.records import PublishedView
from diamond_cutter.storage.sets.sprite_set import read_record


class Finding(NamedTuple):
    """What a check has to say of a file: its problem, or None if it was published before checksums
    were kept.
    """

    key: str
    problem: str | None


def publish_view(bucket: Bucket, key: str, build: Callable[[], bytes]) -> None:
    """Write a view over records, which `build` makes from all of them, unless the same content is
    there.

    Raises:
        Unavailable: others keep replacing it.
    """

    def publish() -> bool:
        present = bucket.stat(key)
        data = build()
        same = present is not None and bucket.get(key) == data
        # After a conflict another run has published. Both views are built from all records, so the
        # last one is right.
        _note(bucket, key, data, alone=same or present is None)
        if not same:
            bucket.put(key, data, mode=present.token if present else "create")
        if present is not None and not same:
            with suppress(Conflict):
                _note(bucket, key, data, alone=True)
        return True

    write_until_settled(key, publish)


def is_published(bucket: Bucket, key: str, data: bytes) -> bool | None:
    """Tell whether a view was published with this content; None if there is no record of that."""
    record = read_record(bucket, view_record_key(key), PublishedView)
    return None if record is None else _digest(data) in record.sha256


def check_view(
    bucket: Bucket, key: str, *, due: bool, judge: Callable[[bytes], bool | None]
) -> Finding | None:
    """Return what is wrong with a view, or None if nothing is, or if it is not published yet.

    Args:
        bucket: where.
        key: the view's.
        due: whether something is there that is written after the view.
        judge: tells whether a view without a record is whole; None if it cannot tell.
    """
    try:
        data = bucket.get(key)
    except NotFound:
        return (
            Finding(key, "The file is missing; the next run publishes it again.") if due else None
        )
    published = is_published(bucket, key, data)
    if published is None and bucket.stat(view_record_key(key)) is not None:
        return Finding(
            view_record_key(key), "The record cannot be read; the next run publishes it again."
        )
    whole = judge(data) if published is None else published
    if whole is None:
        return Finding(key, None)
    return (
        None
        if whole
        else Finding(key, "The file is not what was published; the next run publishes it again.")
    )


def _note(bucket: Bucket, key: str, data: bytes, *, alone: bool) -> None:
    """Write down that a view has this content, or may have it as well as what it had before.

    Raises:
        Conflict: another run has written something else at the same time.
    """
    place = view_record_key(key)
    present, record = bucket.stat(place), read_record(bucket, place, PublishedView)
    before = (
        ()
        if alone or record is None
        else tuple(digest for digest in record.sha256 if digest != _digest(data))
    )
    noted = PublishedView(sha256=(*before, _digest(data)))
    if noted != record:
        bucket.put(place, noted.to_bytes(), mode=present.token if present else "create")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
