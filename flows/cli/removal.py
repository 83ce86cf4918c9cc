"""Removes unused files, sprite sets and reports."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import Field

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Conflict, Corrupt, NotFound, ObjectInfo
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import (
    SCRATCH_PREFIX,
    card_key,
    claims_folder,
    gallery_key,
    is_gallery_file,
    is_run_record,
    is_scratch,
    is_shard_record,
    is_view,
    record_beside,
    report_of,
    set_folder,
)
from diamond_cutter.storage.sets.records import ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.storage.sets.views import is_published
from diamond_cutter.tasks.gathering.contents import set_names
from diamond_cutter.tasks.reporting.stored import report_folders
from diamond_cutter.tasks.stored_reports import unnamed_files

_MIN_AGE = timedelta(days=1)
_GALLERY_HASH = re.compile(r"gallery\.([0-9a-f]{16})\.")


class Leftover(FrozenModel):
    """A file that no record names."""

    key: str
    bytes: int
    updated: datetime
    why: str


class Cleaned(FrozenModel):
    """The result of `gc`."""

    leftovers: tuple[Leftover, ...]
    bytes: int
    deleted: int = Field(description="number of deleted files; 0 if they were only listed")


class FolderSize(FrozenModel):
    """The size of a sprite set or a report."""

    key: str
    files: int
    bytes: int


def collect(bucket: Bucket, *, delete: bool = False, now: datetime | None = None) -> Cleaned:
    """Find the files older than a day that no record names, and optionally delete them.

    A younger file may belong to a run that has not written its record yet. Files of a gallery are
    kept for a day after a page without them was published, because readers may have the old page
    open. Files with names of a user's own are kept.
    """
    oldest = (now or datetime.now(UTC)) - _MIN_AGE
    found = [(info, why) for info, why in _unnamed(bucket, oldest) if info.updated < oldest]
    deleted = (
        sum(at_once(bucket, lambda info: _delete(bucket, info), [info for info, _ in found]))
        if delete
        else 0
    )
    leftovers = tuple(
        Leftover(key=info.key, bytes=info.size, updated=info.updated, why=why)
        for info, why in found
    )
    return Cleaned(
        leftovers=leftovers, bytes=sum(each.bytes for each in leftovers), deleted=deleted
    )


def find_folder(bucket: Bucket, given: str) -> FolderSize:
    """Return the size of a sprite set or a report.

    Args:
        bucket: the bucket with the set or report.
        given: its folder as `ls` prints it, with or without `sprites/` or `reports/`.

    Raises:
        RequestError: the set or report does not exist.
    """
    wanted = given.removeprefix(f"{bucket.url}/").strip("/")
    folders = [
        *(set_folder(model, recipe) for model, recipe in set_names(bucket)),
        *report_folders(bucket),
    ]
    known = {folder.strip("/"): folder for folder in folders}
    folder = next(
        (known[key] for key in (wanted, f"sprites/{wanted}", f"reports/{wanted}") if key in known),
        None,
    )
    if folder is None:
        names = " or ".join(map(repr, folders)) or "an empty bucket"
        raise RequestError(
            f"{given!r} is not a sprite set or report of {bucket.url}: found {names}. Give the "
            "folder of a whole set or report."
        )
    files = list(bucket.list(folder))
    return FolderSize(key=folder, files=len(files), bytes=sum(info.size for info in files))


def remove_folder(bucket: Bucket, folder: str) -> FolderSize:
    """Remove a sprite set or a report, commits first, so that an interruption leaves no whole one.

    Call it again to remove the rest.
    """
    infos = list(bucket.list(folder))
    for rank in range(3):
        keys = [info.key for info in infos if _rank(info.key) == rank]
        for _ in at_once(bucket, bucket.delete, keys):
            pass
    return FolderSize(key=folder, files=len(infos), bytes=sum(info.size for info in infos))


def _rank(key: str) -> int:
    if is_run_record(key) or is_view(key) or key == report_key(report_of(key) or ""):
        return 0
    return 1 if key.endswith(".json") else 2


def _unnamed(bucket: Bucket, oldest: datetime) -> Iterator[tuple[ObjectInfo, str]]:
    yield from _without_card(bucket)
    yield from ((info, "its run ended without it") for info in bucket.list(claims_folder("")))
    for model, recipe in set_names(bucket):
        files = {info.key: info for info in bucket.list(set_folder(model, recipe))}
        beside: dict[str, list[ObjectInfo]] = defaultdict(list)
        for key, info in files.items():
            if record := record_beside(key):
                beside[record].append(info)
        for record, committed in beside.items():
            yield from _not_committed(bucket, record, committed, there=record in files)
        yield from _not_in_gallery(bucket, gallery_key(model, recipe), files, oldest)
    for folder in report_folders(bucket):
        yield from unnamed_files(bucket, folder)
    for info in filter(lambda info: is_scratch(info.key), bucket.list(SCRATCH_PREFIX)):
        yield info, "a killed doctor left it"


def _without_card(bucket: Bucket) -> Iterator[tuple[ObjectInfo, str]]:
    models: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in bucket.list("models/"):
        models[info.key.split("/")[1]].append(info)
    for model, infos in models.items():
        if all(info.key != card_key(model) for info in infos):
            yield from ((info, "the model has no card") for info in infos)


def _not_committed(
    bucket: Bucket, record: str, files: list[ObjectInfo], *, there: bool
) -> Iterator[tuple[ObjectInfo, str]]:
    if not there:
        yield from ((info, f"its record {record} is missing") for info in files)
    elif len(files) > 1 and (named := _file_of(bucket, record)):
        yield from ((info, f"its record names {named}") for info in files if info.key != named)


def _file_of(bucket: Bucket, record: str) -> str | None:
    """Return the file that a record names, or None if it is unreadable: its files are then kept."""
    kind = ShardRecord if is_shard_record(record) else SpritemapRecord
    try:
        return kind.from_bytes(bucket.get(record), record).file.key
    except (Corrupt, NotFound):
        return None


def _not_in_gallery(
    bucket: Bucket, page: str, files: Mapping[str, ObjectInfo], oldest: datetime
) -> Iterator[tuple[ObjectInfo, str]]:
    if page in files and files[page].updated >= oldest:
        return
    shown = [info for info in files.values() if is_gallery_file(info.key)]
    try:
        data = bucket.get(page) if shown else b""
    except NotFound:
        data = b""
    if data and is_published(bucket, page, data) is False:
        return  # the next page may need files that a damaged page does not name
    named = set(_GALLERY_HASH.findall(data.decode(errors="replace")))
    yield from (
        (info, f"{page} does not show it")
        for info in shown
        if _GALLERY_HASH.findall(info.key)[-1] not in named
    )


def _delete(bucket: Bucket, info: ObjectInfo) -> bool:
    """Delete a file, unless a record has named it meanwhile."""
    folder = report_of(info.key)
    if folder and all(info.key != left.key for left, _ in unnamed_files(bucket, folder)):
        return False
    record = None if folder else record_beside(info.key)
    if record and bucket.stat(record) is not None and _file_of(bucket, record) in (info.key, None):
        return False
    try:
        bucket.delete(info.key, token=info.token)
    except Conflict:
        return False
    return True
