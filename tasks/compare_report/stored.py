"""Read and check the records of comparisons."""

from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.compare_keys import similar_layers_key
from diamond_cutter.storage.sets.records import Record
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.storage.sets.sprite_set import are_whole, read_record
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.compare_report.pages import COMPARE_REPORT, compare_page
from diamond_cutter.tasks.comparing.similar_layers import SimilarLayersRecord
from diamond_cutter.tasks.cut_report.stored import cut_record_kind
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.stored import has_page, rests_on_whole


def is_compare_folder(folder: str) -> bool:
    """Tell whether a folder of reports is that of a comparison of two models."""
    return folder.split("/")[3].startswith("compare@")


def compare_record_kind(folder: str, key: str) -> type[Record] | None:
    """Return the type of the record of a key in such a folder, or None for other files."""
    kinds: dict[str, type[Record]] = {
        report_key(folder): CompareReportRecord,
        similar_layers_key(folder): SimilarLayersRecord,
    }
    return kinds.get(key)


def stored_compare(bucket: Bucket, folder: str) -> CompareReportRecord | None:
    """Return a report's record, or None if any part of it is missing, damaged or to be retried."""
    record = read_record(bucket, report_key(folder), CompareReportRecord)
    if record is None or record.lacks:
        return None
    current = asset_files(COMPARE_REPORT, folder).keys() <= {file.key for file in record.files}
    if not current or not are_whole(bucket, folder, record.files):
        return None
    if not has_page(bucket, folder, compare_page(record.contents)):
        return None
    return record if rests_on_whole(bucket, record.records, _kind) else None


def _kind(folder: str, key: str) -> type[Record] | None:
    """Return the type of a record that a comparison rests on."""
    return (compare_record_kind if is_compare_folder(folder) else cut_record_kind)(folder, key)
