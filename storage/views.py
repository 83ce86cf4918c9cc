"""Views over records, which each run builds again: published whole, and checked against what was published.

A view is the only kind of file that is replaced. Before it is, a record that is named by the view's new content is created. So a killed
run leaves no view without its record, and whoever changes only the view does not get past the check.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from storage.bucket import Bucket, ObjectInfo, crc32c
from storage.errors import Conflict, NotFound, Unavailable
from storage.layout import is_view_record, view_of, view_record_key
from storage.records import FileRef, PublishedRecord
from storage.sprite_set import put_determined, read_record

_ATTEMPTS = 5


class Finding(NamedTuple):
    """What a check has to say of a file: its problem, or None if it was published before checksums were kept."""

    key: str
    problem: str | None


def publish_view(bucket: Bucket, key: str, build: Callable[[], bytes]) -> None:
    """Write a view over records, which `build` makes from all of them, unless the same content is there.

    Raises:
        Unavailable: others keep replacing it.
    """
    for _ in range(_ATTEMPTS):
        present = bucket.stat(key)
        data = build()
        record = PublishedRecord(files=(FileRef(key=key, size=len(data), crc32c=crc32c(data)),))
        put_determined(bucket, view_record_key(key, data), record.to_bytes())
        if present is not None and bucket.get(key) == data:
            return
        try:
            bucket.put(key, data, mode=present.token if present else "create")
            return
        except Conflict:
            continue  # another run has published; both views are made from all records, so the last one is right
    raise Unavailable(f"{key} was replaced by others {_ATTEMPTS} times while it was written; run the same command again.")


def is_published(bucket: Bucket, key: str, data: bytes) -> bool | None:
    """Tell whether a view was published with this content; None if it was published before checksums were kept."""
    if read_record(bucket, view_record_key(key, data), PublishedRecord) is not None:
        return True
    return False if was_published(bucket, key) else None


def was_published(bucket: Bucket, key: str) -> bool:
    """Tell whether there is a record of any content of a view."""
    return any(is_view_record(info.key) for info in bucket.list(f"{key}."))


def check_view(bucket: Bucket, key: str, *, due: bool, judge: Callable[[bytes], bool | None]) -> Finding | None:
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
        return Finding(key, "The file is missing; the next run publishes it again.") if due else None
    published = is_published(bucket, key, data)
    whole = judge(data) if published is None else published
    if whole is None:
        return Finding(key, None)
    if whole:
        return None
    record = view_record_key(key, data)
    if bucket.stat(record) is not None:
        return Finding(record, "The record cannot be read; the next run publishes it again.")
    return Finding(key, "The file is not what was published; the next run publishes it again.")


def replaced_records(bucket: Bucket, listed: Iterable[ObjectInfo]) -> Iterator[ObjectInfo]:
    """Yield the listed records of what views were before; none of a view that is not as it was published."""
    records: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in listed:
        if is_view_record(info.key):
            records[view_of(info.key)].append(info)
    for view, infos in records.items():
        try:
            current = view_record_key(view, bucket.get(view))
        except NotFound:
            continue
        if any(info.key == current for info in infos):
            yield from (info for info in infos if info.key != current)
