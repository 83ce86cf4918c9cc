"""Write, find, list and check the reports in a bucket."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Corrupt, NotFound, ObjectInfo, crc32c
from diamond_cutter.storage.sets.layout import (
    details_key,
    is_fingerprinted,
    report_folder,
    report_image_key,
    report_key,
    report_layer_key,
    report_page_key,
    report_table_key,
)
from diamond_cutter.storage.sets.records import FileRef, ImagesRecord, Record
from diamond_cutter.storage.sets.sprite_set import are_whole, put_determined, read_record
from diamond_cutter.storage.sets.views import Finding, check_view, is_published
from diamond_cutter.tasks.attribution.measurements import ImageRows, from_parquet
from diamond_cutter.tasks.pages.frontend import asset_files, judge
from diamond_cutter.tasks.reporting.contents import DetailsRecord, ReportContents, ReportRecord
from diamond_cutter.tasks.reporting.pages import REPORT, report_page

_IMAGES_RECORD = re.compile(r"images/(\d{5,})-(\d{5,})\.json")
_RUN_AGAIN = "Run the same command again to write it again."


class ReportListing(FrozenModel):
    """A report in a list of reports."""

    key: str
    dataset: str
    model: str
    report: str
    complete: bool
    images: int | None = Field(description="images of the report; none if it is incomplete")
    measured: int = Field(description="images measured so far, with the unreadable ones")
    bytes: int
    updated: datetime | None = Field(description="time of the last write")


class ReportFiles:
    """Writes the files of a report; `refs` are the files that its record must commit."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket, self._folder = bucket, folder
        self.refs: dict[str, FileRef] = {}

    def image(self, name: str, data: bytes, suffix: str) -> str:
        """Write a picture of an image, or data of images; return the path in the report."""
        return self.put(report_image_key(self._folder, name, data, suffix), data)

    def layer(self, layer: str, name: str, data: bytes, suffix: str) -> str:
        """Write a picture or data of a layer; return the path in the report."""
        return self.put(report_layer_key(self._folder, layer, name, data, suffix), data)

    def table(self, name: str, data: bytes) -> str:
        """Write a table; return the path in the report."""
        return self.put(report_table_key(self._folder, name, data), data)

    def put(self, key: str, data: bytes) -> str:
        """Write a file under a key derived from its content; return the path in the report."""
        self.refs[key] = FileRef.of(put_determined(self._bucket, key, data), crc32c(data))
        return key.removeprefix(self._folder)


def report_folders(bucket: Bucket) -> Iterator[str]:
    """Yield the folders of all reports in a bucket, complete or not."""
    for dataset in bucket.folders("reports/"):
        for model in bucket.folders(dataset):
            yield from bucket.folders(model)


def list_reports(bucket: Bucket) -> list[ReportListing]:
    """Return the reports in a bucket and their progress."""
    return [_listing(bucket, folder) for folder in report_folders(bucket)]


def shown_files(bucket: Bucket, folder: str) -> list[FileRef]:
    """Return the files of a report's page.

    Raises:
        Corrupt, NotFound: the report is damaged or incomplete.
    """
    report = ReportRecord.from_bytes(bucket.get(report_key(folder)), report_key(folder))
    details = DetailsRecord.from_bytes(bucket.get(details_key(folder)), details_key(folder))
    return [*report.files, *details.files]


def _listing(bucket: Bucket, folder: str) -> ReportListing:
    _, dataset, model, report, _ = folder.split("/")
    infos = list(bucket.list(folder))
    parts = filter(
        None, (_IMAGES_RECORD.fullmatch(info.key.removeprefix(folder)) for info in infos)
    )
    record = read_record(bucket, report_key(folder), ReportRecord)
    return ReportListing(
        key=folder,
        dataset=dataset,
        model=model,
        report=report,
        complete=record is not None,
        images=record.contents.images if record else None,
        measured=sum(int(part[2]) - int(part[1]) + 1 for part in parts),
        bytes=sum(info.size for info in infos),
        updated=max((info.updated for info in infos), default=None),
    )


def reports_with(bucket: Bucket, model: str, recipe: str) -> Iterator[ReportContents]:
    """Yield the contents of all complete reports that show the sprites of a set."""
    for folder in report_folders(bucket):
        if folder.split("/")[2] == model:
            record = read_record(bucket, report_key(folder), ReportRecord)
            # A copied record may name another folder, and its contents become links on pages.
            if (
                record is not None
                and record.contents.sprites == recipe
                and folder_of(record.contents) == folder
            ):
                yield record.contents


def folder_of(contents: ReportContents) -> str:
    """Return the folder that a report names as its own."""
    return report_folder(contents.dataset, contents.model, contents.report)


def find_report(bucket: Bucket, key: str) -> str | None:
    """Return the folder of the report at a key, or around it; None if no report is there.

    The prefix `reports/` is optional.
    """
    names = key.strip("/").removeprefix("reports/").split("/")
    if len(names) < 3 or not all(names[:3]):
        return None
    folder = report_folder(names[0], names[1], names[2])
    return folder if folder in report_folders(bucket) else None


def stored_details(bucket: Bucket, folder: str) -> DetailsRecord | None:
    """Return the record of a report's details, or None if it is missing or damaged."""
    record = read_record(bucket, details_key(folder), DetailsRecord)
    return record if record is not None and are_whole(bucket, folder, record.files) else None


def stored_report(bucket: Bucket, folder: str) -> ReportRecord | None:
    """Return a report's record, or None if any part of the report is missing or damaged."""
    record = read_record(bucket, report_key(folder), ReportRecord)
    if (
        record is None
        or not is_current(bucket, folder, record)
        or not _has_page(bucket, folder, record)
    ):
        return None
    measured = [
        read_record(bucket, key, ImagesRecord)
        for key in record.records
        if key != details_key(folder)
    ]
    whole = None not in measured and are_whole(
        bucket, folder, (found.file for found in measured if found and found.file)
    )
    return record if whole and stored_details(bucket, folder) is not None else None


def _has_page(bucket: Bucket, folder: str, record: ReportRecord) -> bool:
    key, page = report_page_key(folder), report_page(record.contents)
    try:
        return bucket.get(key) == page and is_published(bucket, key, page) is True
    except NotFound:
        return False


def is_current(bucket: Bucket, folder: str, record: ReportRecord) -> bool:
    """Tell whether this version wrote the report, and all its files are whole."""
    assets = asset_files(REPORT, folder).keys() <= {file.key for file in record.files}
    return assets and not record.lacks and are_whole(bucket, folder, record.files)


def image_tables(bucket: Bucket, keys: Sequence[str]) -> Iterator[ImageRows]:
    """Yield the measurements of a report's images, given the keys of their records."""
    for key in keys:
        record = ImagesRecord.from_bytes(bucket.get(key), key)
        if record.file is not None:
            yield from_parquet(
                bucket.get(record.file.key, want_crc=record.file.crc32c), record.file.key
            )


def report_checks(bucket: Bucket, *, reread: bool = False) -> Iterator[Finding | None]:
    """Yield a finding, or None, for each record and the page of each report."""
    for folder in report_folders(bucket):
        listed = {info.key: info for info in bucket.list(folder)}
        for key, kind in _records(folder, listed):
            yield _check(bucket, key, kind, listed, reread)
        if report_key(folder) in listed or report_page_key(folder) in listed:
            yield _check_page(bucket, folder)


def _check(
    bucket: Bucket, key: str, kind: type[Record], listed: Mapping[str, ObjectInfo], reread: bool
) -> Finding | None:
    try:
        record = kind.from_bytes(bucket.get(key), key)
    except (Corrupt, NotFound) as error:
        return Finding(key, str(error))
    for rests_on in record.records if isinstance(record, ReportRecord) else ():
        if rests_on not in listed:
            return Finding(
                rests_on,
                f"The record is missing, and {key} depends on it. {_RUN_AGAIN}",
            )
    for file in _files_of(record):
        if not file.is_whole_in(bucket, listed.get(file.key), reread=reread):
            return Finding(
                file.key,
                f"The file is missing or differs from {key}. {_RUN_AGAIN}",
            )
    return None


def _check_page(bucket: Bucket, folder: str) -> Finding | None:
    record = read_record(bucket, report_key(folder), ReportRecord)
    built = None if record is None else report_page(record.contents)
    return check_view(
        bucket,
        report_page_key(folder),
        due=record is not None,
        judge=lambda page: judge(REPORT, page, built),
    )


def unnamed_files(bucket: Bucket, folder: str) -> Iterator[tuple[ObjectInfo, str]]:
    """Yield the unused files of a report with a reason; nothing if a record is unreadable."""
    listed, named = list(bucket.list(folder)), set[str]()
    for key, kind in _records(folder, (info.key for info in listed)):
        record = read_record(bucket, key, kind)
        if record is None:
            return
        named |= {file.key for file in _files_of(record)}
    for info in listed:
        if is_fingerprinted(info.key) and info.key not in named:
            yield info, "no record of its report names it"


def _records(folder: str, keys: Iterable[str]) -> Iterator[tuple[str, type[Record]]]:
    """Yield the keys of a report's records, and their types."""
    for key in keys:
        if _IMAGES_RECORD.fullmatch(key.removeprefix(folder)):
            yield key, ImagesRecord
        elif key == details_key(folder):
            yield key, DetailsRecord
        elif key == report_key(folder):
            yield key, ReportRecord


def _files_of(record: Record) -> tuple[FileRef, ...]:
    match record:
        case ImagesRecord():
            return (record.file,) if record.file else ()
        case DetailsRecord() | ReportRecord():
            return record.files
        case _:
            return ()
