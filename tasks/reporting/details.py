"""Compute the details of some images of a dataset in a device's process, and commit them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.report_keys import details_key
from diamond_cutter.storage.sets.sprite_set import are_whole, commit
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.job import ImagesJob
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.reading import read_picture
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    ShownPage,
)
from diamond_cutter.tasks.reporting.layer_contents import (
    GroupFlow,
    short,
)
from diamond_cutter.tasks.reporting.page_data import ImageDetails, ImagesPage
from diamond_cutter.tasks.reporting.pages import page_name
from diamond_cutter.tasks.reporting.pictures import IMAGE_PX
from diamond_cutter.tasks.reporting.stored import ReportFiles
from diamond_cutter.tasks.sheets import encode
from diamond_cutter.tasks.versions import software_versions

if TYPE_CHECKING:
    from diamond_cutter.tasks.reporting.image_details import CollectedDetails

# The page of an image loads a whole file, and the first page lists all files. Small details share a
# file, so that the list is short and the bucket holds fewer objects.
_FILE_BYTES, _IMAGES_IN_A_FILE = 750_000, 12


def detail_and_commit(job: ImagesJob) -> None:
    """Compute details in this process; store the files, then the record that commits them.

    Raises:
        BadPhotos: a measured image is unreadable now.
    """
    from diamond_cutter.tasks.reporting.image_details import cell_counts, collect_details

    clock = time.perf_counter()
    bucket, bundle = open_bucket(job.bucket), read_bundle(job.bucket, job.model)
    report_progress("tracing")
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
        methods=job.spec.methods,
        created=datetime.now(UTC).date().isoformat(),
        seconds=round(time.perf_counter() - clock, 3),
        versions=software_versions(),
    )
    commit(
        bucket,
        details_key(job.folder),
        record,
        lambda theirs: is_of(theirs, job) and are_whole(bucket, job.folder, theirs.files),
    )


def is_of(record: DetailsRecord, job: ImagesJob) -> bool:
    """Tell whether a record holds the details of a job's images by its methods."""
    shown = tuple(image.number for image in job.images)
    return (record.shown, record.methods) == (shown, job.spec.methods)


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
    pages, classes = list[ShownPage](), set[int]()
    for page in in_files(_details_of_images(found, card, spec, files)):
        file = files.image(f"page-{len(pages)}", as_script(page_name(len(pages)), page), "js")
        pages.append(ShownPage(file=file, images=tuple(image.number for image in page.images)))
        classes.update(*map(_classes, page.images))
    return tuple(pages), classes


def _details_of_images(
    found: "CollectedDetails", card: ModelCard, spec: AttributionSpec, files: ReportFiles
) -> Iterator[ImageDetails]:
    """Write the pictures of the images, and yield the details of each."""
    from diamond_cutter.tasks.reporting.image_details import image_details

    for shown in found.images:
        picture = files.image(f"{shown.image.number:05d}", _picture(card, shown.image), "webp")
        yield image_details(shown, found, spec, picture)


def in_files(images: Iterable[ImageDetails]) -> Iterator[ImagesPage]:
    """Yield the details of consecutive images that share a file.

    A file holds at most 12 images, and more than one only if they take at most 750 kB.
    """
    page, size = list[ImageDetails](), 0
    for image in images:
        image_bytes = len(image.model_dump_json())
        if page and (len(page) == _IMAGES_IN_A_FILE or size + image_bytes > _FILE_BYTES):
            yield ImagesPage(images=tuple(page))
            page, size = [], 0
        page.append(image)
        size += image_bytes
    if page:
        yield ImagesPage(images=tuple(page))


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
