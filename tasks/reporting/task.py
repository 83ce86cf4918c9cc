"""Compute the details of some images of a dataset, and publish the report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import (
    details_key,
    report_folder,
    report_key,
    report_page_key,
)
from diamond_cutter.storage.sets.sprite_set import are_whole, commit
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.task import ImagesJob
from diamond_cutter.tasks.devices import DeviceSlots, report_progress
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.photos.image_set import BadPhotos, ImageSet
from diamond_cutter.tasks.photos.reading import read_picture
from diamond_cutter.tasks.rendering.task import software_versions
from diamond_cutter.tasks.reporting.building import build_report
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    GroupFlow,
    ReportRecord,
    ShownPage,
    short,
)
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums
from diamond_cutter.tasks.reporting.layers import LayerSprites, Material
from diamond_cutter.tasks.reporting.page_data import ImageDetails, ImagesPage
from diamond_cutter.tasks.reporting.pages import REPORT, page_name, report_page
from diamond_cutter.tasks.reporting.pictures import IMAGE_PX, sprite_places
from diamond_cutter.tasks.reporting.stored import ReportFiles, is_current, stored_details
from diamond_cutter.tasks.retrying import RETRIED
from diamond_cutter.tasks.sheets import encode

if TYPE_CHECKING:
    from diamond_cutter.tasks.reporting.image_details import CollectedDetails

_IMAGES_IN_A_FILE = 12


@task(
    name="detail images",
    **RETRIED,
)
def detail_images(
    job: ImagesJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> DetailsRecord:
    """Compute details on the next free device, unless already stored, and return their record."""
    bucket = open_bucket(job.bucket)
    stored = stored_details(bucket, job.folder)
    if stored is None or stored.shown != tuple(image.number for image in job.images):
        slots.run(detail_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
        stored = stored_details(bucket, job.folder)
    if stored is None:
        raise RuntimeError(
            f"{details_key(job.folder)} disappeared after it was written. Run the same command "
            "again."
        )
    return stored


def detail_and_commit(job: ImagesJob) -> None:
    """Compute details in this process; store the files, then the record that commits them.

    Raises:
        BadPhotos: a measured image is unreadable now.
    """
    from diamond_cutter.tasks.reporting.image_details import cell_counts, collect_details

    clock = time.perf_counter()
    bucket, bundle = open_bucket(job.bucket), read_bundle(job.bucket, job.model)
    found = collect_details(bundle, job.spec, job.images, report_progress)
    _check_all_are_readable(job.images, found)
    files = ReportFiles(bucket, job.folder)
    pages, classes = _write_pages(found, bundle.card, job.spec, files)
    record = DetailsRecord(
        shown=tuple(each.image.number for each in found.images),
        pages=pages,
        classes=tuple(sorted(classes)),
        checks=found.checks,
        groups=found.groups,
        flows=_flows(found, job.spec),
        cells=cell_counts(found, job.spec),
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


def _check_all_are_readable(images: Sequence[NumberedImage], found: "CollectedDetails") -> None:
    readable = {each.image.number for each in found.images}
    gone = [image.image.name for image in images if image.number not in readable]
    if gone:
        raise BadPhotos(
            f"{len(gone)} measured images are unreadable now, the first is {gone[0]!r}. Put them "
            "back, or start from scratch."
        )


def _write_pages(
    found: "CollectedDetails", card: ModelCard, spec: AttributionSpec, files: ReportFiles
) -> tuple[tuple[ShownPage, ...], set[int]]:
    """Write the pictures and details of the images; return the pages and the classes in them."""
    from diamond_cutter.tasks.reporting.image_details import image_details

    pages, classes = list[ShownPage](), set[int]()
    for first in range(0, len(found.images), _IMAGES_IN_A_FILE):
        shown = found.images[first : first + _IMAGES_IN_A_FILE]
        pictures = [
            files.image(f"{each.image.number:05d}", _picture(card, each.image), "webp")
            for each in shown
        ]
        page = ImagesPage(
            images=tuple(
                image_details(each, found, spec, file)
                for each, file in zip(shown, pictures, strict=True)
            )
        )
        file = files.image(f"page-{len(pages)}", as_script(page_name(len(pages)), page), "js")
        pages.append(ShownPage(file=file, images=tuple(image.number for image in page.images)))
        classes.update(*map(_classes, page.images))
    return tuple(pages), classes


def _picture(card: ModelCard, image: NumberedImage) -> bytes:
    """Return the image as a square picture, whatever the shape of the model's images."""
    picture = read_picture(image.image, card.image.shape, IMAGE_PX)
    return encode(np.asarray(Image.fromarray(picture).resize((IMAGE_PX, IMAGE_PX))), "webp")


def _classes(image: ImageDetails) -> set[int]:
    """Return the classes that an image's details name."""
    explained = (number for each in image.explained for number in (each.positive, each.negative))
    return {number for number, _ in image.predicted} | {
        number for number in explained if number is not None
    }


def _flows(found: "CollectedDetails", spec: AttributionSpec) -> tuple[GroupFlow, ...]:
    return tuple(
        GroupFlow(
            layer=layer,
            next_layer=spec.layers[spec.layers.index(layer) + 1],
            attribution=tuple(tuple(map(short, row)) for row in flow),
        )
        for layer, flow in found.flows.items()
    )


@dataclass(frozen=True)
class ReportJob:
    """The sources of a report.

    images: all images of the dataset.
    records: keys of the records of the measurements.
    refused: the reason for each image that was unreadable when measured, by name.
    mixes: by layer, the name and the numbers of the mixes that hold the sprites of its groups.
    lacks: a sentence for each part that could not be rendered.
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
def publish_report(job: ReportJob, sums: DatasetSums, details: DetailsRecord) -> ReportRecord:
    """Write a report's files, its page and the record that commits them; return the record."""
    bucket = open_bucket(job.bucket)
    files = ReportFiles(bucket, job.folder)
    names = {line.image: line.name for line in sums.images}
    material = Material(bucket, job.card, job.spec, sums, details, names)
    contents = build_report(
        material, job.images, job.refused, lambda layer: _sprites(bucket, job, layer), files
    )
    for key, data in asset_files(REPORT, job.folder).items():
        files.put(key, data)
    records, refs = (*job.records, details_key(job.folder)), tuple(files.refs.values())
    record = ReportRecord(contents=contents, records=records, files=refs, lacks=job.lacks)
    publish_view(bucket, report_page_key(job.folder), lambda: report_page(contents))
    # The record of another writer is equal, unless it is damaged, comes from another version, or
    # has sprites that failed here.
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
    return bool(ours.lacks) and is_current(bucket, folder, theirs)


def _sprites(bucket: Bucket, job: ReportJob, layer: str) -> LayerSprites:
    name, numbers = job.mixes.get(layer, ("", ()))
    mixed = sprite_places(bucket, job.card.key, job.spec.sprites, name) if name else {}
    groups = {group: mixed[number] for group, number in enumerate(numbers) if number in mixed}
    return LayerSprites(sprite_places(bucket, job.card.key, job.spec.sprites, layer), groups)
