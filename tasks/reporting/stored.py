"""Reports in the bucket: found, listed, checked."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Corrupt, NotFound, ObjectInfo
from diamond_cutter.storage.sets.layout import (
    details_key,
    is_fingerprinted,
    report_folder,
    report_key,
    report_page_key,
)
from diamond_cutter.storage.sets.records import FileRef, ImagesRecord, Record
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.storage.sets.views import Finding, check_view
from diamond_cutter.tasks.pages.frontend import judge
from diamond_cutter.tasks.reporting.contents import DetailsRecord, ReportContents, ReportRecord
from diamond_cutter.tasks.reporting.pages import REPORT, report_page

_IMAGES_RECORD = re.compile(r"images/(\d{5,})-(\d{5,})\.json")


class ReportListing(FrozenModel):
    """One report."""

    key: str
    dataset: str
    model: str
    report: str
    complete: bool
    images: int | None = Field(description="that the report is of; none if it is not complete")
    measured: int = Field(
        description="images that were looked at so far, those that cannot be read among them"
    )
    bytes: int
    updated: datetime | None = Field(description="when something was last written")


def report_folders(bucket: Bucket) -> Iterator[str]:
    """Yield the folders of all reports in a bucket, whether or not they are complete."""
    for dataset in bucket.folders("reports/"):
        for model in bucket.folders(dataset):
            yield from bucket.folders(model)


def list_reports(bucket: Bucket) -> list[ReportListing]:
    """Return the reports in a bucket and how far they are."""
    return [_listing(bucket, folder) for folder in report_folders(bucket)]


def shown_files(bucket: Bucket, folder: str) -> list[FileRef]:
    """Return the files that a report's page loads.

    Raises:
        Corrupt, NotFound: the report is not whole.
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
    """Yield what the reports say that show the sprites of a set; those that are not complete are
    passed over.
    """
    for folder in report_folders(bucket):
        if folder.split("/")[2] == model:
            record = read_record(bucket, report_key(folder), ReportRecord)
            # What a record says of itself may be somebody else's: its pages are named by it.
            if (
                record is not None
                and record.contents.sprites == recipe
                and folder_of(record.contents) == folder
            ):
                yield record.contents


def folder_of(contents: ReportContents) -> str:
    """Return the folder that a report says it is in."""
    return report_folder(contents.dataset, contents.model, contents.report)


def find_report(bucket: Bucket, key: str) -> str | None:
    """Return the folder of the report that a key is, or is in, or None if there is none such;
    `reports/` may be left out.
    """
    names = key.strip("/").removeprefix("reports/").split("/")
    if len(names) < 3 or not all(names[:3]):
        return None
    folder = report_folder(names[0], names[1], names[2])
    return folder if folder in report_folders(bucket) else None


def report_checks(bucket: Bucket, *, reread: bool = False) -> Iterator[Finding | None]:
    """Yield, for each record of a report and for its page, what is wrong with it, or None.

    With `reread` every file is read, even if the bucket stores its checksum.
    """
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
                f"The record is missing, and {key} rests on it; the same run again makes it anew.",
            )
    for file in _files_of(record):
        if not file.is_whole_in(bucket, listed.get(file.key), reread=reread):
            return Finding(
                file.key,
                f"The file is missing or is not what {key} says; the same run again makes it anew.",
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
    """Yield the files of a report that none of its records names, and why they are left over; none
    where a record cannot be read.
    """
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
    """Yield those of a report's keys that are of records, and what they are."""
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
