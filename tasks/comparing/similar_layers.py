"""Compare the layers of two models, and commit what was found."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import Field

from diamond_cutter.storage import Bucket, crc32c, open_bucket
from diamond_cutter.storage.sets.compare_keys import similar_layers_key
from diamond_cutter.storage.sets.records import FileRef, Record
from diamond_cutter.storage.sets.report_keys import report_table_key
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_determined, read_record
from diamond_cutter.tasks.comparing.cka import (
    MOST_IMAGES,
    Kernel,
    Similarity,
    linear_kernel,
    similarity,
)
from diamond_cutter.tasks.comparing.images import ComparedImages
from diamond_cutter.tasks.comparing.layer_pairs import (
    Features,
    LayerPair,
    closest_layers,
    layer_pair,
    rounded,
)
from diamond_cutter.tasks.comparing.spec import PairedModel
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.features.stored import feature_set, features_folder
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.reporting.choosing import evenly


class SimilarLayersRecord(Record):
    """Commits how alike the layers of two models are on a set of images."""

    images: str = Field(description="hash of the images' numbers")
    layers: tuple[tuple[str, ...], tuple[str, ...]] = Field(
        description="the compared layers of each model; those with bad features are left out"
    )
    cka: tuple[tuple[float | None, ...], ...] = Field(
        description="debiased linear CKA, `[first, second]`"
    )
    pairs: tuple[LayerPair, ...] = Field(description="corresponding layers, in forward order")
    table: FileRef = Field(description="all channels with their counterparts, Parquet")
    problems: tuple[str, ...] = Field(description="a sentence for each layer that was left out")

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Return the files that the record commits."""
        return (self.table,)


@dataclass(frozen=True)
class LayersJob:
    """Two models whose layers are compared.

    folder: of the comparison, in the bucket.
    count: number of all images of the dataset.
    """

    bucket: str
    folder: str
    dataset: str
    models: tuple[PairedModel, PairedModel]
    images: ComparedImages
    count: int


def stored_layers(bucket: Bucket, job: LayersJob) -> SimilarLayersRecord | None:
    """Return the record of a job, or None if it is missing, damaged or of other images."""
    record = read_record(bucket, similar_layers_key(job.folder), SimilarLayersRecord)
    return record if record is not None and _counts(bucket, job, record) else None


def _counts(bucket: Bucket, job: LayersJob, record: SimilarLayersRecord) -> bool:
    return record.images == job.images.digest and is_whole(bucket, record.table)


def compare_and_commit(job: LayersJob) -> SimilarLayersRecord:
    """Compare layers in this process; store the table, then the record that commits it."""
    bucket, problems = open_bucket(job.bucket), list[str]()
    first, second = (_StoredLayers(bucket, job, model) for model in job.models)
    others = dict(second.kernels(problems))
    found = dict[str, list[Similarity]]()
    for name, kernel in first.kernels(problems):
        found[name] = [similarity(kernel, other) for other in others.values()]
        report_progress(1)
    layers = (
        [first.model.card.layer(name) for name in found],
        [second.model.card.layer(name) for name in others],
    )
    cka = tuple(tuple(rounded(each.cka) for each in row) for row in found.values())
    pairs, tables = list[LayerPair](), list[pd.DataFrame]()
    for one, other, found_by in closest_layers(*layers, cka):
        both = layers[0][one], layers[1][other]
        values = first.read(both[0].name), second.read(both[1].name)
        pair, table = layer_pair(both, found_by, values, found[both[0].name][other])
        pairs.append(pair)
        tables.append(table)
        report_progress(1)
    data = to_parquet(pd.concat(tables, ignore_index=True) if tables else pd.DataFrame())
    key = report_table_key(job.folder, "channels", data)
    record = SimilarLayersRecord(
        images=job.images.digest,
        layers=(tuple(found), tuple(others)),
        cka=cka,
        pairs=tuple(pairs),
        table=FileRef.of(put_determined(bucket, key, data), crc32c(data)),
        problems=tuple(dict.fromkeys(problems)),
    )
    return commit(
        bucket,
        similar_layers_key(job.folder),
        record,
        lambda theirs: _counts(bucket, job, theirs),
    )


class _StoredLayers:
    """Reads the features of a model layer by layer, so that memory holds few of them."""

    def __init__(self, bucket: Bucket, job: LayersJob, model: PairedModel) -> None:
        folder = features_folder(job.dataset, model.card.key, model.features)
        self.model, self._images = model, job.images.measured
        self._stored = feature_set(bucket, folder, job.count)

    def read(self, layer: str) -> Features:
        """Return the features of the measured images, float32 `[image, channel]`."""
        return self._stored.read(layer, self._images)

    def kernels(self, problems: list[str]) -> Iterator[tuple[str, Kernel]]:
        """Yield the kernel of each layer; add layers with bad features to the problems."""
        for name in self.model.layers:
            values = self.read(name)
            if np.isfinite(values).all():
                yield name, linear_kernel(values[evenly(range(len(values)), MOST_IMAGES)])
            else:
                problems.append(
                    f"layer {name} of {self.model.name} was left out: its activations are not "
                    "finite"
                )


def read_channels(bucket: Bucket, record: SimilarLayersRecord) -> pd.DataFrame:
    """Return the table of all channels with their counterparts; see `layer_pair`.

    Raises:
        Corrupt, NotFound: the table is missing or damaged.
    """
    data = bucket.get(record.table.key, want_crc=record.table.crc32c)
    return pd.read_parquet(io.BytesIO(data), engine="pyarrow")
