"""Looks closely at some images of a dataset, and makes a report of all that was measured."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, NotFound, open_bucket
from diamond_cutter.storage.sets.layout import (
    details_key,
    report_folder,
    report_key,
    report_page_key,
)
from diamond_cutter.storage.sets.records import ImagesRecord
from diamond_cutter.storage.sets.sprite_set import are_whole, commit, read_record
from diamond_cutter.storage.sets.views import is_published, publish_view
from diamond_cutter.tasks.attribution.batches import Numbered
from diamond_cutter.tasks.attribution.measurements import ImageRows, from_parquet
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.task import ImagesJob
from diamond_cutter.tasks.devices import DeviceSlots, report_progress
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.photos.image_set import BadPhotos, ImageSet
from diamond_cutter.tasks.photos.reading import read_picture
from diamond_cutter.tasks.rendering.task import may_help, software_versions
from diamond_cutter.tasks.reporting.building import (
    LayerSprites,
    Material,
    image_list,
    named_classes,
    report_layer,
    set_cards,
)
from diamond_cutter.tasks.reporting.contents import (
    Accuracy,
    DetailsRecord,
    GroupFlow,
    ImagesPage,
    RefusedImage,
    ReportContents,
    ReportRecord,
    ShownClass,
    ShownPage,
    Table,
)
from diamond_cutter.tasks.reporting.files import ReportFiles
from diamond_cutter.tasks.reporting.pages import REPORT, report_page
from diamond_cutter.tasks.reporting.pictures import IMAGE_PX, Patches, sprite_places
from diamond_cutter.tasks.reporting.reducing import Reduced
from diamond_cutter.tasks.reporting.rounding import short
from diamond_cutter.tasks.reporting.scripts import page_name
from diamond_cutter.tasks.reporting.tables import (
    channels_table,
    examples_table,
    groups_table,
    images_table,
)
from diamond_cutter.tasks.sheets import encode

_ON_A_PAGE = 12


@task(
    name="look closely",
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=may_help,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def look_closely(
    job: ImagesJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> DetailsRecord:
    """Look at images on the next free device, unless their record is there by now, and
    return it.
    """
    bucket = open_bucket(job.bucket)
    stored = stored_details(bucket, job.folder)
    if stored is None or stored.shown != _numbers(job):
        slots.run(look_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
        stored = stored_details(bucket, job.folder)
    if stored is None:
        raise RuntimeError(
            f"{details_key(job.folder)} was written and is gone; run the same command again"
        )
    return stored


def stored_details(bucket: Bucket, folder: str) -> DetailsRecord | None:
    """Return the record of a report's single images, or None if there is none that counts."""
    record = read_record(bucket, details_key(folder), DetailsRecord)
    return record if record is not None and are_whole(bucket, folder, record.files) else None


def _numbers(job: ImagesJob) -> tuple[int, ...]:
    return tuple(image.number for image in job.images)


def look_and_commit(job: ImagesJob) -> None:
    """Look at images in this process: what the page loads of them goes into the bucket first, then
    the record that makes it count.

    Raises:
        BadPhotos: an image that was measured cannot be read any more.
    """
    from diamond_cutter.tasks.reporting.image_details import cell_counts, image_details
    from diamond_cutter.tasks.reporting.image_details import look_closely as look

    clock = time.perf_counter()
    bucket, bundle = open_bucket(job.bucket), read_bundle(job.bucket, job.model)
    seen = look(bundle, job.spec, job.images, report_progress)
    seen_numbers = {each.image.number for each in seen.images}
    gone = [image.image.name for image in job.images if image.number not in seen_numbers]
    if gone:
        raise BadPhotos(
            f"{len(gone)} images were measured and cannot be read any more, the first is "
            f"{gone[0]!r}; put them back, or begin anew"
        )
    files = ReportFiles(bucket, job.folder)
    pages, classes = list[ShownPage](), set[int]()
    for first in range(0, len(seen.images), _ON_A_PAGE):
        shown = seen.images[first : first + _ON_A_PAGE]
        pictures = [
            files.image(f"{each.image.number:05d}", _picture(bundle.card, each.image), "webp")
            for each in shown
        ]
        page = ImagesPage(
            images=tuple(
                image_details(each, seen, job.spec, file)
                for each, file in zip(shown, pictures, strict=True)
            )
        )
        file = files.image(f"page-{len(pages)}", as_script(page_name(len(pages)), page), "js")
        pages.append(ShownPage(file=file, images=tuple(image.number for image in page.images)))
        for image in page.images:
            classes |= {number for number, _ in image.predicted}
            classes |= {
                number
                for each in image.explained
                for number in (each.positive, each.negative)
                if number is not None
            }
    layers = list(job.spec.layers)
    record = DetailsRecord(
        shown=tuple(each.image.number for each in seen.images),
        pages=tuple(pages),
        classes=tuple(sorted(classes)),
        checks=seen.checks,
        groups=seen.groups,
        flows=tuple(
            GroupFlow(
                layer=layer,
                next_layer=layers[layers.index(layer) + 1],
                attribution=tuple(tuple(map(short, row)) for row in flow),
            )
            for layer, flow in seen.flows.items()
        ),
        cells=cell_counts(seen, job.spec),
        files=tuple(files.refs.values()),
        seconds=round(time.perf_counter() - clock, 3),
        versions=software_versions(),
    )
    commit(
        bucket,
        details_key(job.folder),
        record,
        lambda theirs: theirs.shown == record.shown and are_whole(bucket, job.folder, theirs.files),
    )


def _picture(card: ModelCard, image: Numbered) -> bytes:
    """Return an image as the report shows it: square, whatever sides the model has."""
    picture = read_picture(image.image, card.image.shape, IMAGE_PX)
    return encode(np.asarray(Image.fromarray(picture).resize((IMAGE_PX, IMAGE_PX))), "webp")


def image_tables(bucket: Bucket, keys: Sequence[str]) -> Iterator[ImageRows]:
    """Yield what was measured of a report's images, table by table, given the keys of their
    records.
    """
    for key in keys:
        record = ImagesRecord.from_bytes(bucket.get(key), key)
        if record.file is not None:
            yield from_parquet(
                bucket.get(record.file.key, want_crc=record.file.crc32c), record.file.key
            )


def stored_report(bucket: Bucket, folder: str) -> ReportRecord | None:
    """Return a report's record, or None if there is none that counts: all of the report is there,
    and it lacks nothing.
    """
    record = read_record(bucket, report_key(folder), ReportRecord)
    if (
        record is None
        or not _counts(bucket, folder, record)
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


def _counts(bucket: Bucket, folder: str, record: ReportRecord) -> bool:
    """Tell whether a record is of a report that is as this version makes it."""
    assets = asset_files(REPORT, folder).keys() <= {file.key for file in record.files}
    return assets and not record.lacks and are_whole(bucket, folder, record.files)


@dataclass(frozen=True)
class ReportJob:
    """What a report is made of: the images, the records of what was measured of them, and the
    sprites of the groups, by mixes.

    `lacks` says, in sentences, what could not be rendered.
    """

    bucket: str
    card: ModelCard
    images: ImageSet
    spec: AttributionSpec
    records: tuple[str, ...]
    refused: Mapping[str, str]
    mixes: Mapping[str, tuple[str, tuple[int, ...]]]
    lacks: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Return the report's folder."""
        return report_folder(self.images.name, self.card.key, self.spec.key)


@task(name="publish report", cache_policy=NO_CACHE, persist_result=False)
def publish_report(job: ReportJob, reduced: Reduced, details: DetailsRecord) -> ReportRecord:
    """Write a report's files, then its page, then the record that commits them; return the
    record.
    """
    bucket, files = open_bucket(job.bucket), ReportFiles(open_bucket(job.bucket), job.folder)
    material = Material(
        bucket,
        job.card,
        job.spec,
        reduced,
        details,
        {line.image: line.name for line in reduced.images},
    )
    cutter = Patches(job.card, dict(enumerate(job.images.images)))
    layers = tuple(
        report_layer(material, job.card.layer(name), _sprites(bucket, job, name), cutter, files)
        for name in job.spec.layers
    )
    tables = {
        "images": images_table(job.card, reduced),
        "channels": channels_table(job.card, job.spec, reduced.totals),
        "examples": examples_table(reduced.examples),
        "groups": groups_table(details.groups),
    }
    totals = reduced.totals
    labelled = totals.labelled
    contents = ReportContents(
        dataset=job.images.name,
        model=job.card.key,
        report=job.spec.key,
        sprites=job.spec.sprites,
        spec=job.spec,
        images=totals.images(),
        labels=job.images.labels,
        refused=_refused(job),
        accuracy=Accuracy(
            images=labelled, top1=totals.right / labelled, top5=totals.right_of_five / labelled
        )
        if labelled
        else None,
        classes=tuple(
            ShownClass(
                number=number,
                name=job.card.class_label(number).name,
                wnid=job.card.class_label(number).wnid,
            )
            for number in sorted(named_classes(material))
        ),
        sets=set_cards(material),
        layers=layers,
        flows=details.flows,
        shown=image_list(material, _pictures(details), files),
        pages=details.pages,
        tables=tuple(
            Table(title=title, file=files.table(title, to_parquet(table)), rows=len(table))
            for title, table in tables.items()
        ),
    )
    for key, data in asset_files(REPORT, job.folder).items():
        files.put(key, data)
    records, refs = (*job.records, details_key(job.folder)), tuple(files.refs.values())
    record = ReportRecord(contents=contents, records=records, files=refs, lacks=job.lacks)
    publish_view(bucket, report_page_key(job.folder), lambda: report_page(contents))
    # The record of another writer says the same, unless it is damaged, of another version, or has
    # sprites that could not be rendered here.
    kept = commit(
        bucket,
        report_key(job.folder),
        record,
        lambda theirs: theirs == record or _lacks_less(bucket, theirs, record, job.folder),
    )
    if kept != record:
        publish_view(bucket, report_page_key(job.folder), lambda: report_page(kept.contents))
    return kept


def _lacks_less(bucket: Bucket, theirs: ReportRecord, ours: ReportRecord, folder: str) -> bool:
    return bool(ours.lacks) and _counts(bucket, folder, theirs)


def _pictures(details: DetailsRecord) -> dict[int, str]:
    """Return the pictures of the shown images, by their numbers, as seen from the report's
    folder.
    """
    files = (file.key.rpartition("/")[2] for file in details.files if file.key.endswith(".webp"))
    return {int(name.partition(".")[0]): f"images/{name}" for name in files}


def _sprites(bucket: Bucket, job: ReportJob, layer: str) -> LayerSprites:
    name, numbers = job.mixes.get(layer, ("", ()))
    mixed = sprite_places(bucket, job.card.key, job.spec.sprites, name) if name else {}
    groups = {group: mixed[number] for group, number in enumerate(numbers) if number in mixed}
    return LayerSprites(sprite_places(bucket, job.card.key, job.spec.sprites, layer), groups)


def _refused(job: ReportJob) -> tuple[RefusedImage, ...]:
    listed = {bad.name: bad.reason for bad in job.images.refused} | dict(job.refused)
    return tuple(RefusedImage(name=name, reason=reason) for name, reason in sorted(listed.items()))
