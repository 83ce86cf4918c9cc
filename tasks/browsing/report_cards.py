"""Summarise the reports of a bucket, of all kinds, for the first page and the pages of models."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from diamond_cutter.storage import Bucket, ObjectInfo, StorageError
from diamond_cutter.storage.bucket import is_key
from diamond_cutter.storage.sets.attach_keys import attached_key
from diamond_cutter.storage.sets.cut_keys import COMPARISON
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.tasks.attaching.chart import history_chart
from diamond_cutter.tasks.attaching.checkpoints import AttachedRecord
from diamond_cutter.tasks.browsing.ages import age_of
from diamond_cutter.tasks.browsing.crops import Crop
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.cut_report.contents import CutReportRecord
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.layer_contents import Sheet
from diamond_cutter.tasks.reporting.stored import report_folders
from diamond_cutter.tasks.stored_reports import AnyReport, report_kind

_SPRITES = 8
_MOST_PX = 1 << 20


class ReportCard(NamedTuple):
    """A report in a list.

    kind: `attribution`, `where to cut`, `comparison` or `new layers`.
    title: the finding, or what the report is about.
    models: their names and hashes.
    crops, chart: its picture: sprites, or the key of a chart; none of both if there is none.
    """

    kind: str
    folder: str
    page: str
    title: str
    dataset: str
    models: tuple[str, ...]
    updated: datetime
    crops: tuple[Crop, ...] = ()
    chart: str = ""

    @property
    def age(self) -> str:
        """Return the age of the report in words."""
        return age_of(self.updated)


def report_cards(bucket: Bucket, only_model: str | None = None) -> Iterator[ReportCard]:
    """Yield the complete reports of a bucket, or on one model; damaged ones are skipped."""
    for folder in report_folders(bucket):
        try:
            card = _card(bucket, folder)
        except StorageError:
            continue
        if card is not None and only_model in (None, *card.models):
            yield card


def attached_record(bucket: Bucket, folder: str) -> AttachedRecord:
    """Return the record of a training of new layers.

    Raises:
        Corrupt, NotFound: it is damaged or missing.
    """
    return AttachedRecord.from_bytes(bucket.get(attached_key(folder)), attached_key(folder))


def history_of(bucket: Bucket, folder: str) -> bytes:
    """Return the chart of a training of new layers, drawn from its record.

    Raises:
        Corrupt, NotFound: the record is damaged or missing.
    """
    record = attached_record(bucket, folder)
    return history_chart(record.history, record.best).encode()


def is_attach_folder(folder: str) -> bool:
    """Tell whether a folder of a report is that of a training of new layers."""
    return folder.split("/")[3].startswith("attach@")


def _card(bucket: Bucket, folder: str) -> ReportCard | None:
    if is_attach_folder(folder):
        found = bucket.stat(attached_key(folder))
        return _of_training(folder, attached_record(bucket, folder), found) if found else None
    found = bucket.stat(report_key(folder))
    if found is None:
        return None
    record = report_kind(folder).from_bytes(bucket.get(report_key(folder)), report_key(folder))
    return _of_report(folder, record, found)


def _of_report(folder: str, record: AnyReport, found: ObjectInfo) -> ReportCard:
    contents = record.contents
    _, dataset, model, _, _ = folder.split("/")
    if isinstance(record, CompareReportRecord):
        figure = record.contents.figure
        chart = _own(folder, figure.svg) if figure else ""
        kind, title = "comparison", record.contents.answer
    elif isinstance(record, CutReportRecord):
        figures = record.contents.figures
        chart = _own(folder, figures[0].svg) if figures else ""
        kind, title = "where to cut", record.contents.answer
    else:
        chart, kind, title = "", "attribution", _title(record.contents)
    models = (
        tuple(compared.key for compared in record.contents.models)
        if isinstance(record, CutReportRecord | CompareReportRecord)
        else (model,)
    )
    return ReportCard(
        kind=kind,
        folder=folder,
        page=folder,
        title=title,
        dataset=dataset,
        models=models if model == COMPARISON else tuple(model.split("+")),
        updated=found.updated,
        crops=tuple(_sprites(folder, contents)) if isinstance(contents, ReportContents) else (),
        chart=chart,
    )


def _title(contents: ReportContents) -> str:
    name = contents.dataset.rpartition("@")[0] or contents.dataset
    return contents.finding or f"{contents.images:,} images of {name}: {contents.explanation()}"


def _of_training(folder: str, record: AttachedRecord, found: ObjectInfo) -> ReportCard:
    _, dataset, model, _, _ = folder.split("/")
    chart = _own(folder, record.chart.key.removeprefix(folder))
    return ReportCard(
        kind="new layers",
        folder=folder,
        page=chart,
        title=f"New layers on {model.partition('@')[0]} get {100 * record.test_accuracy:.0f} % of "
        f"the test images right (95 % interval: {100 * record.test_low:.0f} % to "
        f"{100 * record.test_high:.0f} %).",
        dataset=dataset,
        models=(model,),
        updated=found.updated,
        chart=chart,
    )


def _sprites(folder: str, contents: ReportContents) -> Iterator[Crop]:
    """Yield sprites of the strongest channels of the last layer that has any."""
    for layer in reversed(contents.layers):
        strongest = (*layer.top[: _SPRITES // 2], *layer.bottom[: _SPRITES // 2])
        cells = dict.fromkeys(known.sprite for known in strongest if known.sprite is not None)
        if layer.sprites is not None and cells:
            yield from (crop for cell in cells if (crop := _crop(folder, layer.sprites, cell)))
            return


def _crop(folder: str, sheet: Sheet, cell: int) -> Crop | None:
    """Return a cell of a sheet, or None if the sheet makes no sense."""
    side = sheet.cell_px
    if not (0 < side < _MOST_PX and 0 < sheet.columns < _MOST_PX and cell >= 0):
        return None
    if (sheet.cells or 1) < 0 or cell // (sheet.cells or cell + 1) > len(sheet.more):
        return None
    file, row, column = sheet.place(cell)
    key = _own(folder, file)
    return Crop(key, sheet.columns * side, column * side, row * side, side) if key else None


def _own(folder: str, path: str) -> str:
    """Return the key of a report's file, or nothing if the path is not in the report's folder."""
    key = f"{folder}{path}"
    return key if is_key(key) else ""
