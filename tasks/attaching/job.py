"""What a device needs to know to train new layers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.tasks.attaching.spec import VALIDATION_PARTS, AttachSpec
from diamond_cutter.tasks.cutting.dataset import Dataset, stratified_folds
from diamond_cutter.tasks.photos.image_set import FoundImage

# Sets too small for so many full steps in an epoch have smaller steps.
_STEPS, _LEAST_BATCH = 8, 8


@dataclass(frozen=True)
class AttachJob:
    """New layers to train on a model.

    bucket: of the model, its features and the training.
    model: name and hash of the model.
    dataset_name: name and hash of the images.
    dataset: how the images are divided.
    images: all labelled images, by number.
    spec: what to train.
    """

    bucket: str
    model: str
    dataset_name: str
    dataset: Dataset
    images: tuple[FoundImage, ...]
    spec: AttachSpec

    @property
    def folder(self) -> str:
        """Return the folder of the training."""
        return training_folder(self.dataset_name, self.model, self.spec)

    def parts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the places, among the images for choosing, of those to train and to validate."""
        part = self.dataset.choosing
        held = stratified_folds(part.labels, part.groups, VALIDATION_PARTS, self.spec.seed)[0]
        return np.setdiff1d(np.arange(len(part)), held), held


def images_in_step(images: int, most: int) -> int:
    """Return the number of images in a step, for as many images to train on."""
    return min(most, max(_LEAST_BATCH, images // _STEPS), images)


def training_folder(dataset: str, model: str, spec: AttachSpec) -> str:
    """Return the folder of a training."""
    return report_folder(dataset, model, spec.key)
