"""Read and check the records of a search for a cut."""

import re

from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.storage.sets.sprite_set import are_whole, read_record
from diamond_cutter.tasks.attaching.checkpoints import AttachedRecord, EpochRecord
from diamond_cutter.tasks.cut_report.contents import CutReportRecord
from diamond_cutter.tasks.cut_report.pages import CUT_REPORT, cut_page
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.features.stored import CostsRecord, FeaturesRecord
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.stored import has_page, rests_on_whole
from diamond_cutter.tasks.training.job import TrainedRecord

AnyCutRecord = (
    FeaturesRecord
    | CostsRecord
    | ScoresRecord
    | JoinRecord
    | TrainedRecord
    | EpochRecord
    | AttachedRecord
    | CutReportRecord
)

_KINDS: dict[str, type[AnyCutRecord]] = {
    r"features/\d{5,}-\d{5,}\.json": FeaturesRecord,
    r"costs\.json": CostsRecord,
    r"scores/[^/]+\.json": ScoresRecord,
    r"together\.json": JoinRecord,
    r"trained/[0-9a-f]{8}\.json": TrainedRecord,
    r"epochs/\d{4,}\.json": EpochRecord,
    r"attached\.json": AttachedRecord,
    r"report\.json": CutReportRecord,
}


def is_cut_folder(folder: str) -> bool:
    """Tell whether a folder of reports is that of a search for a cut, or of a training."""
    return folder.split("/")[3].startswith(("cut@", "features@", "attach@"))


def cut_record_kind(folder: str, key: str) -> type[AnyCutRecord] | None:
    """Return the type of the record of a key in such a folder, or None for other files."""
    below = key.removeprefix(folder)
    return next((kind for form, kind in _KINDS.items() if re.fullmatch(form, below)), None)


def stored_comparison(bucket: Bucket, folder: str) -> CutReportRecord | None:
    """Return a report's record, or None if any part of it is missing, damaged or to be retried."""
    record = read_record(bucket, report_key(folder), CutReportRecord)
    if record is None or record.lacks:
        return None
    current = asset_files(CUT_REPORT, folder).keys() <= {file.key for file in record.files}
    if not current or not are_whole(bucket, folder, record.files):
        return None
    if not has_page(bucket, folder, cut_page(record.contents)):
        return None
    return record if rests_on_whole(bucket, record.records, cut_record_kind) else None
