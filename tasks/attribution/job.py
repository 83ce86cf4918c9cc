"""Measure images of a dataset in a device's process, and commit the measurements."""

import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diamond_cutter.storage import Bucket, crc32c, open_bucket
from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.storage.sets.records import ImagesRecord
from diamond_cutter.storage.sets.report_keys import images_record_key, report_folder
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_fingerprinted, read_record
from diamond_cutter.tasks.attribution.batches import Batch, NumberedImage, batches
from diamond_cutter.tasks.attribution.label_classes import label_class
from diamond_cutter.tasks.attribution.measurements import (
    TOP_CLASSES,
    ImageRows,
    LayerRows,
    join_rows,
    to_parquet,
)
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.versions import software_versions

if TYPE_CHECKING:
    from diamond_cutter.tasks.attribution.attribution import Attribute, BatchAttribution


@dataclass(frozen=True)
class ImagesJob:
    """Images of a dataset, to measure or to compute details of."""

    bucket: str
    model: str
    dataset: str
    spec: AttributionSpec
    images: tuple[NumberedImage, ...]

    @property
    def folder(self) -> str:
        """Return the report's folder."""
        return report_folder(self.dataset, self.model, self.spec.key)

    @property
    def title(self) -> str:
        """Return a title for people."""
        return f"images {self.images[0].number} to {self.images[-1].number}"

    @property
    def record_key(self) -> str:
        """Return the key of the record that commits the measurements."""
        return images_record_key(self.folder, self.images[0].number, self.images[-1].number + 1)


def stored_images(bucket: Bucket, job: ImagesJob) -> ImagesRecord | None:
    """Return the record of the measurements; None if it is missing, damaged or by other methods."""
    record = read_record(bucket, job.record_key, ImagesRecord)
    return record if record is not None and _counts(bucket, record, job) else None


def _counts(bucket: Bucket, record: ImagesRecord, job: ImagesJob) -> bool:
    whole = record.file is None or is_whole(bucket, record.file)
    return whole and record.methods == job.spec.methods


def attribute_and_commit(job: ImagesJob) -> None:
    """Measure images in this process; store the table, then the record that commits it."""
    clock, refused = time.perf_counter(), dict[str, str]()
    rows, bucket = attribute(job, refused), open_bucket(job.bucket)
    data = to_parquet(rows) if rows else b""
    record = ImagesRecord(
        dataset=job.dataset,
        model=job.model,
        report=job.spec.key,
        first=job.images[0].number,
        images=len(job.images),
        refused=refused,
        methods=job.spec.methods,
        file=put_fingerprinted(bucket, job.record_key, data, "parquet", crc32c(data))
        if rows
        else None,
        seconds=round(time.perf_counter() - clock, 3),
        versions=software_versions(),
    )
    commit(bucket, job.record_key, record, lambda theirs: _counts(bucket, theirs, job))


def attribute(job: ImagesJob, refused: dict[str, str]) -> ImageRows | None:
    """Return the measurements of a job's images, or None if all images are unreadable.

    Args:
        job: the images and the options.
        refused: receives the reason for each unreadable image, by name.
    """
    card = read_bundle(job.bucket, job.model).card
    function = _function(job.bucket, job.model, job.spec)
    found = []
    # Two batches at once: one uses the cores that the other leaves idle in small operations.
    for rows in in_threads(
        2,
        lambda batch: _rows(job, batch, function(batch.pixels)),
        batches(job.images, card.image.shape, refused),
    ):
        found.append(rows)
        report_progress(len(rows.numbers))
    return join_rows(found)


@functools.lru_cache(maxsize=2)
def _function(bucket_url: str, model: str, spec: AttributionSpec) -> "Attribute":
    from diamond_cutter.tasks.attribution.attribution import attribution_function
    from diamond_cutter.tasks.attribution.network import network_of

    return attribution_function(network_of(read_bundle(bucket_url, model), spec.layers), spec)


def _rows(job: ImagesJob, batch: Batch, found: "BatchAttribution") -> ImageRows:
    card = read_bundle(job.bucket, job.model).card
    if card.head_kind == "values":  # none is higher than another
        classes = found.chosen.positive.numpy()[:, None]
    else:
        ranking = np.argsort(-found.logits.numpy(), axis=1, kind="stable")
        classes = ranking[:, :TOP_CLASSES].astype(np.int32)
    return ImageRows(
        numbers=np.array([each.number for each in batch.images], np.int32),
        names=[each.image.name for each in batch.images],
        labels=[each.image.label for each in batch.images],
        label_classes=np.array([label_class(card, each.image) for each in batch.images], np.int32),
        classes=classes,
        probabilities=np.take_along_axis(found.probabilities.numpy(), classes, 1),
        positive=found.chosen.positive.numpy(),
        negative=found.chosen.negative.numpy(),
        layers={
            name: LayerRows(*(part.numpy() for part in layer))
            for name, layer in zip(job.spec.layers, found.layers, strict=True)
        },
    )
