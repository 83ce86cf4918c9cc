"""Compute the features of images in a device's process, and commit them."""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.cut_keys import costs_key, features_record_key
from diamond_cutter.storage.sets.sprite_set import commit
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.features.pictures import Pictures, Shape, picture_batches
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import (
    CostsRecord,
    FeaturesRecord,
    LayerCost,
    are_whole_tables,
    features_folder,
    put_features,
)
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.versions import software_versions

if TYPE_CHECKING:
    from diamond_cutter.tasks.features.extraction import Features

# Models whose features are computed in turn for each batch of images, from one decoding.
MODELS_AT_ONCE = 4


@dataclass(frozen=True)
class FeaturesJob:
    """Images of a dataset whose features one model computes.

    shape: the shape of the model's images.
    shapes: the shapes of the images of all models whose turn comes with this batch.
    """

    bucket: str
    model: str
    dataset: str
    spec: CutSpec
    images: tuple[NumberedImage, ...]
    shape: Shape
    shapes: tuple[Shape, ...]

    @property
    def folder(self) -> str:
        """Return the folder of the features."""
        return features_folder(self.dataset, self.model, self.spec)

    @property
    def numbers(self) -> range:
        """Return the numbers of the images."""
        return range(self.images[0].number, self.images[-1].number + 1)

    @property
    def title(self) -> str:
        """Return a title for people."""
        return f"{self.model}, images {self.numbers.start} to {self.numbers.stop - 1}"


def features_and_commit(job: FeaturesJob) -> None:
    """Compute features in this process; store the tables, then the record that commits them."""
    from diamond_cutter.tasks.features.extraction import features_of

    clock, bucket = time.perf_counter(), open_bucket(job.bucket)
    report_progress("tracing")
    function = _function(job.bucket, job.model, job.spec)
    numbers, digests, refused = list[int](), list[str](), dict[str, str]()
    parts: list[list[np.ndarray]] = []
    for batch in _pictures(job):
        numbers += batch.numbers
        digests += batch.digests
        refused |= batch.refused
        if batch.numbers:
            parts.append(features_of(function, batch.pixels[job.shape], report_progress))
    values = {
        layer: np.concatenate([part[place] for part in parts])
        for place, layer in enumerate(job.spec.layers if parts else ())
    }
    record = FeaturesRecord(
        model=job.model,
        dataset=job.dataset,
        first=job.numbers.start,
        images=len(job.images),
        numbers=tuple(numbers),
        digests=tuple(digests),
        refused=refused,
        layers=put_features(bucket, job.folder, job.numbers, values),
        seconds=round(time.perf_counter() - clock, 3),
        versions=software_versions(),
    )
    key = features_record_key(job.folder, job.numbers.start, job.numbers.stop)
    commit(bucket, key, record, lambda theirs: are_whole_tables(bucket, theirs))


# The pictures of the last batch in this process: the other models need the same ones.
_last_batch: tuple[object, list[Pictures]] | None = None


def _pictures(job: FeaturesJob) -> Iterator[Pictures]:
    """Yield the pictures of a job; decode them unless the last job had the same images."""
    from diamond_cutter.tasks.features.extraction import BATCH

    global _last_batch
    wanted = (job.dataset, job.images, job.shapes)
    if _last_batch is not None and _last_batch[0] == wanted:
        yield from _last_batch[1]
        return
    _last_batch = None
    decoded = []
    for batch in picture_batches(job.images, job.shapes, BATCH):
        decoded.append(batch)
        yield batch
    _last_batch = wanted, decoded


@functools.lru_cache(maxsize=MODELS_AT_ONCE)
def _function(bucket_url: str, model: str, spec: CutSpec) -> "Features":
    from diamond_cutter.tasks.features.extraction import feature_function

    return feature_function(read_bundle(bucket_url, model), spec.layers, spec.pooling)


def costs_and_commit(bucket_url: str, model: str, folder: str, layers: tuple[str, ...]) -> None:
    """Measure the costs of layers in this process, and commit their record."""
    from diamond_cutter.tasks.features.costs import milliseconds, parameters

    bundle = read_bundle(bucket_url, model)
    weights, times = parameters(bundle, layers), milliseconds(bundle, layers)
    costs = {
        layer: LayerCost(
            parameters=weights[layer], macs=bundle.card.layer(layer).macs, ms=times[layer]
        )
        for layer in layers
    }
    record = CostsRecord(model=model, costs=costs, versions=software_versions())
    commit(open_bucket(bucket_url), costs_key(folder), record, lambda theirs: True)
