"""Train heads on some cuts of a model in a device's process, and commit how they test."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.cut_keys import trained_key
from diamond_cutter.storage.sets.records import FileRef, Record, Versions
from diamond_cutter.storage.sets.sprite_set import commit
from diamond_cutter.tasks.cutting.dataset import Dataset, stratified_folds
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import feature_set, features_folder, scores_folder
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.training.pictures import Pictures
from diamond_cutter.tasks.versions import software_versions

if TYPE_CHECKING:
    from diamond_cutter.tasks.training.heads import Head

# The part of the images for choosing on which early stopping looks.
_VALIDATION_PARTS = 5


class TrainedHead(FrozenModel):
    """A linear head that was trained on the features of a cut."""

    layer: str
    accuracy: float = Field(description="share of the test images that are right")
    predictions: tuple[int, ...] = Field(description="class of each test image")
    epochs: int = Field(description="epochs up to the lowest loss on the validation images")


class TrainedRecord(Record):
    """Commits heads of one model."""

    model: str
    division: str = Field(description="hash of the images and of how they were divided")
    heads: tuple[TrainedHead, ...]
    tested: int = Field(description="number of test images")
    seconds: float
    versions: Versions
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True)
class TrainingJob:
    """Cuts of a model on which heads are trained.

    penalties: by layer, the inverse strength of the penalty.
    images: all images of the dataset, by number.
    """

    bucket: str
    model: str
    name: str
    dataset: Dataset
    images: tuple[FoundImage, ...]
    spec: CutSpec
    penalties: Mapping[str, float]

    @property
    def folder(self) -> str:
        """Return the folder of the model's scores."""
        return scores_folder(self.name, self.model, self.spec)

    @property
    def key(self) -> str:
        """Return the key of the record."""
        return trained_key(self.folder, tuple(self.penalties))


def train_and_commit(job: TrainingJob) -> None:
    """Train heads in this process, test them, and commit the record."""
    from diamond_cutter.tasks.features.extraction import feature_function
    from diamond_cutter.tasks.training import heads
    from diamond_cutter.tasks.training.augmentation import augmentation

    clock, bucket = time.perf_counter(), open_bucket(job.bucket)
    bundle, seed = read_bundle(job.bucket, job.model), job.spec.seed
    folder = features_folder(job.name, job.model, job.spec)
    found = feature_set(bucket, folder, len(job.images))
    part, test = job.dataset.choosing, job.dataset.test
    held = stratified_folds(part.labels, part.groups, _VALIDATION_PARTS, seed)[0]
    train = np.setdiff1d(np.arange(len(part)), held)
    data = {}
    for layer, penalty in job.penalties.items():
        values = found.read(layer, part.numbers.tolist())
        data[layer] = heads.HeadData(values[train], values[held], penalty)
    trained = heads.train_heads(
        feature_function(bundle, list(job.penalties), job.spec.pooling),
        Pictures(
            [job.images[number] for number in part.numbers[train]], bundle.card.image.shape
        ).read,
        augmentation(seed, "light"),
        data,
        heads.Labels(part.labels[train], part.labels[held], len(job.dataset.classes)),
        seed,
        report_progress,
    )
    record = TrainedRecord(
        model=job.model,
        division=job.dataset.division,
        # One layer after the other: the test may be large.
        heads=tuple(
            _tested(layer, head, found.read(layer, test.numbers.tolist()), test.labels)
            for layer, head in trained.items()
        ),
        tested=len(test),
        seconds=round(time.perf_counter() - clock, 3),
        versions=software_versions(),
    )
    commit(bucket, job.key, record, lambda theirs: theirs.division == record.division)


def _tested(
    layer: str,
    head: "Head",
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
) -> TrainedHead:
    predicted = head.logits(features).argmax(1)
    return TrainedHead(
        layer=layer,
        accuracy=float((predicted == labels).mean()),
        predictions=tuple(predicted.tolist()),
        epochs=head.epochs,
    )
