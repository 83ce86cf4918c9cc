"""Write, find, list and check the reports in a bucket."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from diamond_cutter.storage import Bucket, NotFound, crc32c
from diamond_cutter.storage.sets.layout import report_of
from diamond_cutter.storage.sets.records import FileRef, ImagesRecord, Record
from diamond_cutter.storage.sets.report_keys import (
    details_key,
    methods_key,
    report_file_key,
    report_folder,
    report_image_key,
    report_key,
    report_layer_key,
    report_page_key,
    report_table_key,
)
from diamond_cutter.storage.sets.sprite_set import are_whole, put_determined, read_record
from diamond_cutter.storage.sets.views import is_published
from diamond_cutter.tasks.attribution.choosing_methods import stored_methods
from diamond_cutter.tasks.attribution.measurements import ImageRows, from_parquet
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    ReportContents,
    ReportRecord,
)
from diamond_cutter.tasks.reporting.pages import REPORT, report_page


class ReportFiles:
    """Writes the files of a report.

    folder: of the report.
    refs: the files that its record must commit, by key.
    """

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket, self.folder = bucket, folder
        self.refs: dict[str, FileRef] = {}

    def image(self, name: str, data: bytes, suffix: str) -> str:
        """Write a picture of an image, or data of images; return the path in the report."""
        return self.put(report_image_key(self.folder, name, data, suffix), data)

    def layer(self, layer: str, name: str, data: bytes, suffix: str) -> str:
        """Write a picture or data of a layer; return the path in the report."""
        return self.put(report_layer_key(self.folder, layer, name, data, suffix), data)

    def table(self, name: str, data: bytes) -> str:
        """Write a table; return the path in the report."""
        return self.put(report_table_key(self.folder, name, data), data)

    def file(self, name: str, data: bytes, suffix: str) -> str:
        """Write another file of the report; return the path in the report."""
        return self.put(report_file_key(self.folder, name, data, suffix), data)

    def put(self, key: str, data: bytes) -> str:
        """Write a file under a key derived from its content; return the path in the report."""
        self.refs[key] = FileRef.of(put_determined(self._bucket, key, data), crc32c(data))
        return key.removeprefix(self.folder)


def report_folders(bucket: Bucket) -> Iterator[str]:
    """Yield the folders of all reports in a bucket, complete or not."""
    for dataset in bucket.folders("reports/"):
        for model in bucket.folders(dataset):
            yield from bucket.folders(model)


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
        or not has_page(bucket, folder, report_page(record.contents))
    ):
        return None
    others = {details_key(folder), methods_key(folder)}
    if record.contents.spec.method == "auto" and stored_methods(bucket, folder) is None:
        return None
    measured = [
        read_record(bucket, key, ImagesRecord) for key in record.records if key not in others
    ]
    whole = None not in measured and are_whole(
        bucket, folder, (found.file for found in measured if found and found.file)
    )
    return record if whole and stored_details(bucket, folder) is not None else None


def has_page(bucket: Bucket, folder: str, page: bytes) -> bool:
    """Tell whether the page of a report was published with this content, and is whole."""
    key = report_page_key(folder)
    try:
        return bucket.get(key) == page and is_published(bucket, key, page) is True
    except NotFound:
        return False


def rests_on_whole(
    bucket: Bucket, keys: Iterable[str], kind_of: Callable[[str, str], type[Record] | None]
) -> bool:
    """Tell whether the records of a report, and the files that they commit, are whole.

    Args:
        bucket: of the report.
        keys: of the records.
        kind_of: returns the type of a record, given its folder and its key.
    """
    by_folder: dict[str, list[Record]] = {}
    for key in keys:
        folder = report_of(key) or ""
        kind = kind_of(folder, key)
        record = read_record(bucket, key, kind) if kind else None
        if record is None:
            return False
        by_folder.setdefault(folder, []).append(record)
    return all(
        are_whole(bucket, folder, (file for record in records for file in files_of(record)))
        for folder, records in by_folder.items()
    )


def files_of(record: Record) -> tuple[FileRef, ...]:
    """Return the files that a record of a report commits."""
    if isinstance(record, ImagesRecord):
        return (record.file,) if record.file else ()
    files: tuple[FileRef, ...] = getattr(record, "files", ())
    return files


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
