"""Views of records, such as indexes and pages, which each run rebuilds.

Only views are ever replaced. The record of a view is replaced first, and holds the hashes of both
versions meanwhile. So a killed run never leaves a view that contradicts its record.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from diamond_cutter.storage.bucket import Bucket, ObjectInfo
from diamond_cutter.storage.errors import Conflict, NotFound
from diamond_cutter.storage.retries import write_until_settled
from diamond_cutter.storage.sets.layout import view_record_key
from diamond_cutter.storage.sets.records import PublishedView
from diamond_cutter.storage.sets.sprite_set import read_record


class Finding(NamedTuple):
    """A problem of a file; None if it is older than the checksums and cannot be verified."""

    key: str
    problem: str | None


def publish_view(bucket: Bucket, key: str, build: Callable[[], bytes]) -> None:
    """Write a view, which `build` makes from all records, unless it exists with this content.

    Raises:
        Unavailable: other writers keep replacing the view.
    """
    publish_views(bucket, [key], lambda: {key: build()})


def publish_views(
    bucket: Bucket, keys: Sequence[str], build: Callable[[], Mapping[str, bytes]]
) -> None:
    """Write views that `build` makes from the same records, in the order of their keys.

    Raises:
        Unavailable: other writers keep replacing the views.
    """

    def publish() -> bool:
        present = {key: bucket.stat(key) for key in keys}
        made = build()
        for key in keys:
            _replace(bucket, key, present[key], made[key])
        return True

    write_until_settled(keys[-1], publish)


def _replace(bucket: Bucket, key: str, present: ObjectInfo | None, data: bytes) -> None:
    """Write a view over the version that was present before the records were read.

    Raises:
        Conflict: another run has published meanwhile. Both views are built from all records, so the
            last one is right.
    """
    same = present is not None and bucket.get(key) == data
    _note(bucket, key, data, alone=same or present is None)
    if not same:
        bucket.put(key, data, mode=present.token if present else "create")
    if present is not None and not same:
        with suppress(Conflict):
            _note(bucket, key, data, alone=True)


def is_published(bucket: Bucket, key: str, data: bytes) -> bool | None:
    """Tell whether a view was published with this content, None without a record of it."""
    record = read_record(bucket, view_record_key(key), PublishedView)
    return None if record is None else _digest(data) in record.sha256


def check_view(
    bucket: Bucket, key: str, *, due: bool, judge: Callable[[bytes], bool | None]
) -> Finding | None:
    """Return the problem of a view, or None if it is intact or not published yet.

    Args:
        bucket: of the view.
        key: of the view.
        due: whether files exist that are written after the view.
        judge: tells whether a view without a record is intact; None if it cannot tell.
    """
    try:
        data = bucket.get(key)
    except NotFound:
        return (
            Finding(key, "the file is missing. The next run publishes it again.") if due else None
        )
    published = is_published(bucket, key, data)
    if published is None and bucket.stat(view_record_key(key)) is not None:
        return Finding(
            view_record_key(key), "the record is not valid. The next run publishes it again."
        )
    whole = judge(data) if published is None else published
    if whole is None:
        return Finding(key, None)
    return (
        None
        if whole
        else Finding(
            key, "the file differs from the published one. The next run publishes it again."
        )
    )


def _note(bucket: Bucket, key: str, data: bytes, *, alone: bool) -> None:
    """Record the hash of a view, beside that of its previous version unless `alone`.

    Raises:
        Conflict: another run has replaced the record meanwhile.
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
