"""Find, list and check the reports in a bucket, of whatever kind."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Corrupt, NotFound, ObjectInfo
from diamond_cutter.storage.sets.compare_keys import similar_layers_key
from diamond_cutter.storage.sets.cut_keys import COMPARISON
from diamond_cutter.storage.sets.layout import is_fingerprinted
from diamond_cutter.storage.sets.records import FileRef, ImagesRecord, Record
from diamond_cutter.storage.sets.report_keys import (
    details_key,
    methods_key,
    report_folder,
    report_key,
    report_page_key,
)
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.storage.sets.views import Finding, check_view
from diamond_cutter.tasks.attribution.method_choice import MethodsRecord
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.compare_report.pages import (
    COMPARE_REPORT,
    compare_charts,
    compare_page,
)
from diamond_cutter.tasks.compare_report.stored import compare_record_kind, is_compare_folder
from diamond_cutter.tasks.comparing.similar_layers import SimilarLayersRecord
from diamond_cutter.tasks.cut_report.contents import CutReportRecord
from diamond_cutter.tasks.cut_report.pages import CUT_REPORT, charts, cut_page
from diamond_cutter.tasks.cut_report.stored import cut_record_kind, is_cut_folder
from diamond_cutter.tasks.pages.frontend import Frontend, judge
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    ReportRecord,
)
from diamond_cutter.tasks.reporting.pages import REPORT, report_page
from diamond_cutter.tasks.reporting.stored import files_of, report_folders

AnyReport = ReportRecord | CutReportRecord | CompareReportRecord

_IMAGES_RECORD = re.compile(r"(?:images|features)/(\d{5,})-(\d{5,})\.json")
_RUN_AGAIN = "Run the same command again to write it again."


class ReportListing(FrozenModel):
    """A report in a list of reports, or the measurements of a model that `cut` reports rest on."""

    key: str
    dataset: str
    model: str
    report: str
    complete: bool
    measurements: bool = Field(
        default=False, description="features and scores of a model, without a page of their own"
    )
    images: int | None = Field(description="images of the report; none if it is incomplete")
    measured: int = Field(description="images measured so far, with the unreadable ones")
    bytes: int
    updated: datetime | None = Field(description="time of the last write")


def list_reports(bucket: Bucket) -> list[ReportListing]:
    """Return the reports in a bucket and their progress."""
    return [_listing(bucket, folder) for folder in report_folders(bucket)]


def find_report(bucket: Bucket, key: str) -> str | None:
    """Return the folder of the report at a key, or around it; None if no report is there.

    The prefix `reports/` is optional.
    """
    names = key.strip("/").removeprefix("reports/").split("/")
    if len(names) < 3 or not all(names[:3]):
        return None
    folder = report_folder(names[0], names[1], names[2])
    return folder if folder in report_folders(bucket) else None


def report_kind(folder: str) -> type[AnyReport]:
    """Return the type of the record that commits the report in a folder."""
    if is_compare_folder(folder):
        return CompareReportRecord
    return CutReportRecord if is_cut_folder(folder) else ReportRecord


def generated_page(report: AnyReport) -> bytes:
    """Return the page of a report, rendered from its record."""
    if isinstance(report, CompareReportRecord):
        return compare_page(report.contents)
    if isinstance(report, CutReportRecord):
        return cut_page(report.contents)
    return report_page(report.contents)


def generated_charts(report: AnyReport) -> Mapping[str, bytes]:
    """Return the charts of a report as SVG files, drawn from its record, by path in the report."""
    if isinstance(report, CompareReportRecord):
        return compare_charts(report.contents)
    return charts(report.contents) if isinstance(report, CutReportRecord) else {}


def frontend_of(folder: str) -> Frontend:
    """Return the scripts and styles of the pages of a report."""
    if is_compare_folder(folder):
        return COMPARE_REPORT
    return CUT_REPORT if is_cut_folder(folder) else REPORT


def shown_files(bucket: Bucket, folder: str) -> list[FileRef]:
    """Return the files of a report's page.

    Raises:
        Corrupt, NotFound: the report is damaged or incomplete.
    """
    kind = report_kind(folder)
    report = kind.from_bytes(bucket.get(report_key(folder)), report_key(folder))
    if isinstance(report, CompareReportRecord):
        key = similar_layers_key(folder)
        similar = SimilarLayersRecord.from_bytes(bucket.get(key), key)
        return [*report.files, *similar.files]
    if isinstance(report, CutReportRecord):
        return list(report.files)
    details = DetailsRecord.from_bytes(bucket.get(details_key(folder)), details_key(folder))
    return [*report.files, *details.files]


def report_checks(bucket: Bucket, *, reread: bool = False) -> Iterator[Finding | None]:
    """Yield a finding, or None, for each record and the page of each report."""
    for folder in report_folders(bucket):
        listed = {info.key: info for info in bucket.list(folder)}
        for key, kind in _records(folder, listed):
            yield _check(bucket, key, kind, listed, reread)
        if report_key(folder) in listed or report_page_key(folder) in listed:
            yield _check_page(bucket, folder)


def unnamed_files(bucket: Bucket, folder: str) -> Iterator[tuple[ObjectInfo, str]]:
    """Yield the unused files of a report with a reason; nothing if a record is unreadable."""
    listed, named = list(bucket.list(folder)), set[str]()
    for key, kind in _records(folder, (info.key for info in listed)):
        record = read_record(bucket, key, kind)
        if record is None:
            return
        named |= {file.key for file in files_of(record)}
    for info in listed:
        if is_fingerprinted(info.key) and info.key not in named:
            yield info, "no record of its report names it"


def _listing(bucket: Bucket, folder: str) -> ReportListing:
    _, dataset, model, report, _ = folder.split("/")
    infos = list(bucket.list(folder))
    parts = filter(
        None, (_IMAGES_RECORD.fullmatch(info.key.removeprefix(folder)) for info in infos)
    )
    record = read_record(bucket, report_key(folder), report_kind(folder))
    return ReportListing(
        key=folder,
        dataset=dataset,
        model=model,
        report=report,
        complete=record is not None,
        measurements=is_cut_folder(folder) and model != COMPARISON,
        images=None if record is None else _images_of(record),
        measured=sum(int(part[2]) - int(part[1]) + 1 for part in parts),
        bytes=sum(info.size for info in infos),
        updated=max((info.updated for info in infos), default=None),
    )


def _images_of(report: AnyReport) -> int:
    if isinstance(report, CutReportRecord | CompareReportRecord):
        return report.contents.facts.images
    return report.contents.images


def _check(
    bucket: Bucket, key: str, kind: type[Record], listed: Mapping[str, ObjectInfo], reread: bool
) -> Finding | None:
    try:
        record = kind.from_bytes(bucket.get(key), key)
    except (Corrupt, NotFound) as error:
        return Finding(key, str(error))
    for rests_on in record.records if isinstance(record, AnyReport) else ():
        # The scores of a model are in a folder of their own.
        if rests_on not in listed and bucket.stat(rests_on) is None:
            return Finding(
                rests_on,
                f"The record is missing, and {key} depends on it. {_RUN_AGAIN}",
            )
    for file in files_of(record):
        if not file.is_whole_in(bucket, listed.get(file.key), reread=reread):
            return Finding(
                file.key,
                f"The file is missing or differs from {key}. {_RUN_AGAIN}",
            )
    return None


def _check_page(bucket: Bucket, folder: str) -> Finding | None:
    record = read_record(bucket, report_key(folder), report_kind(folder))
    built = None if record is None else generated_page(record)
    return check_view(
        bucket,
        report_page_key(folder),
        due=record is not None,
        judge=lambda page: judge(frontend_of(folder), page, built),
    )


def _records(folder: str, keys: Iterable[str]) -> Iterator[tuple[str, type[Record]]]:
    """Yield the keys of a report's records, and their types."""
    for key in keys:
        kind = _kind(folder, key)
        if kind is not None:
            yield key, kind


def _kind(folder: str, key: str) -> type[Record] | None:
    if is_compare_folder(folder):
        return compare_record_kind(folder, key)
    if is_cut_folder(folder):
        return cut_record_kind(folder, key)
    if _IMAGES_RECORD.fullmatch(key.removeprefix(folder)):
        return ImagesRecord
    if key == details_key(folder):
        return DetailsRecord
    if key == methods_key(folder):
        return MethodsRecord
    return ReportRecord if key == report_key(folder) else None
