"""Opens pictures, galleries and reports of a bucket with the default program of this machine."""

import hashlib
import os
import sys
import webbrowser
from pathlib import Path
from urllib.parse import unquote

from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.cli.layer_statistics import LayerReport
from diamond_cutter.flows.cli.records import ShownRecord, show
from diamond_cutter.flows.compare_summary import CompareSummary
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.weights import cache_folder
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import gallery_key
from diamond_cutter.storage.sets.records import FileRef, ShardRecord, SpritemapRecord
from diamond_cutter.storage.sets.report_keys import report_page_key
from diamond_cutter.tasks.gathering.contents import spritemap_records
from diamond_cutter.tasks.stored_reports import shown_files


class Opened(FrozenModel):
    """A file on this machine, and whether a program was started for it."""

    key: str
    path: Path
    shown: bool


def open_key(bucket: Bucket, given: str) -> Opened:
    """Fetch a picture, gallery or report if needed, and open it if there is a screen.

    Args:
        bucket: the bucket with the file.
        given: as for `show`; a layer opens its spritemap, a set its gallery.

    Raises:
        RequestError: there is no such picture.
        Corrupt: the file does not match its record.
    """
    shown = show(bucket, given)
    if isinstance(shown, LayerReport):
        return _file(bucket, _spritemap(bucket, shown))
    if isinstance(shown, ReportSummary | CutSummary | CompareSummary):
        return _report(bucket, shown.key)
    if not isinstance(shown, ShownRecord):
        return _gallery(bucket, gallery_key(shown.model, shown.recipe))
    if not isinstance(shown.record, ShardRecord | SpritemapRecord):
        raise RequestError(f"{given!r} has no picture. Run diamond-cutter show to see its content.")
    return _file(bucket, shown.record.file)


def _spritemap(bucket: Bucket, report: LayerReport) -> FileRef:
    _, model, recipe, _ = report.key.split("/", 3)
    records = sorted(
        spritemap_records(bucket, model, recipe, report.layer),
        key=lambda record: -len(record.sprites),
    )
    if not records:
        raise RequestError(
            f"{report.key} has no spritemap yet. Run diamond-cutter sprites to complete the layer."
        )
    return records[0].file


def _file(bucket: Bucket, file: FileRef) -> Opened:
    path = _local_path(bucket, file.key) or _fetched(bucket, file)
    return Opened(key=file.key, path=path, shown=_show(path))


def _fetched(bucket: Bucket, file: FileRef) -> Path:
    path = _place_of(bucket) / file.key
    if not path.is_file() or path.stat().st_size != file.size:
        bucket.fetch(file.key, path, want_crc=file.crc32c)
    return path


def _place_of(bucket: Bucket) -> Path:
    """Return the cache folder for files of a bucket."""
    return cache_folder() / "opened" / hashlib.sha256(bucket.url.encode()).hexdigest()[:8]


def _report(bucket: Bucket, folder: str) -> Opened:
    """Open the page of a report; fetch it first if needed, without the tables of images."""
    key = report_page_key(folder)
    path = _local_path(bucket, key)
    if path is None:
        for _ in at_once(bucket, lambda file: _fetched(bucket, file), shown_files(bucket, folder)):
            pass
        path = _place_of(bucket) / key
        bucket.fetch(key, path)
    elif not path.is_file():
        raise RequestError(f"{key} is missing. Run the same command again to publish it.")
    return Opened(key=key, path=path, shown=_show(path))


def _gallery(bucket: Bucket, key: str) -> Opened:
    path = _local_path(bucket, key)
    if path is None:
        raise RequestError(
            f"{key} has too many files to fetch. Run diamond-cutter browse --bucket {bucket.url} "
            "to see it."
        )
    if not path.is_file():
        raise RequestError(
            f"{key} is missing. Run diamond-cutter sprites, which writes it at the end of a run."
        )
    return Opened(key=key, path=path, shown=_show(path))


def _local_path(bucket: Bucket, key: str) -> Path | None:
    """Return the path of an object, or None if the bucket is not on this machine."""
    scheme, _, place = bucket.url.partition("://")
    return Path(unquote(place, errors="surrogateescape")) / key if scheme == "file" else None


def _show(path: Path) -> bool:
    # Without a screen, a text browser would take over the terminal.
    on_a_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return on_a_screen and webbrowser.open(path.as_uri())
