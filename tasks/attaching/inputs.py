"""What the trained part of a network reads: varied images, or activations of the frozen part."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.training.augmentation import Augment, augmentation
from diamond_cutter.tasks.training.pictures import Pictures

# Each image is varied so often. Later epochs see the same variations again, so that neither they
# nor the frozen part of the network are computed in every epoch.
VARIATIONS = 8
_KEPT_BYTES = 2 << 30

# From pixels, float32 `[batch, height, width, channel]`, to what the trained part reads.
Prepare = Callable[[tf.Tensor], Sequence[tf.Tensor]]


class Inputs:
    """The inputs of the trained part for some images, computed once and kept if they fit."""

    def __init__(
        self,
        pictures: Pictures,
        prepare: Prepare,
        augment: Callable[[int], Augment],
        variations: int,
        batch: int,
    ) -> None:
        """Decide whether all variations can be kept, by the size of the inputs of one batch.

        Args:
            pictures: the images.
            prepare: computes inputs from pixels.
            augment: returns what varies images, by a number.
            variations: of each image.
            batch: images at a time.
        """
        self._pictures, self._prepare, self._augment = pictures, prepare, augment
        self._variations, self.batch = variations, batch
        self._kept: dict[int, list[npt.NDArray[Any]]] = {}
        first = self._prepared(np.arange(min(batch, len(pictures))), augment(0))
        bytes_each = sum(each[0].nbytes for each in first)
        self._keeps = bytes_each * len(pictures) * variations <= _KEPT_BYTES

    def __len__(self) -> int:
        return len(self._pictures)

    def read(self, epoch: int, places: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
        """Return the inputs of some images in an epoch, each `[image, ...]`."""
        if not self._keeps:
            # A stream of its own for the images of each step.
            stream = np.random.default_rng([epoch, *places]).integers(2**31)
            return self._prepared(places, self._augment(int(stream)))
        number = epoch % self._variations
        if number not in self._kept:
            self._kept[number] = self._all(self._augment(number))
        return [each[places] for each in self._kept[number]]

    def _all(self, augment: Augment) -> list[npt.NDArray[Any]]:
        parts = [
            self._prepared(np.arange(first, min(first + self.batch, len(self._pictures))), augment)
            for first in range(0, len(self._pictures), self.batch)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _prepared(self, places: npt.NDArray[np.int64], augment: Augment) -> list[npt.NDArray[Any]]:
        pixels = self._pictures.read(places)
        padded = np.zeros((self.batch, *pixels.shape[1:]), pixels.dtype)
        padded[: len(places)] = pixels
        found = self._prepare(tf.constant(augment(padded)))
        return [each.numpy()[: len(places)] for each in found]


def unvaried(prepare: Prepare, pictures: Pictures, batch: int) -> Inputs:
    """Return the inputs of images as they are."""
    return Inputs(pictures, prepare, lambda _: augmentation(0, "none"), 1, batch)


def of_all(
    function: Callable[[list[tf.Tensor]], tf.Tensor], inputs: Inputs
) -> npt.NDArray[np.float32]:
    """Return the vectors of all images, float32 `[image, number]`, in batches of one size.

    Args:
        function: from inputs to vectors, such as `TrainedNetwork.logits`.
        inputs: of the images.
    """
    parts = []
    for first in range(0, len(inputs), inputs.batch):
        # Padded with the first images, so that the function is traced once.
        places = np.arange(first, first + inputs.batch) % len(inputs)
        found = function([tf.constant(each) for each in inputs.read(0, places)])
        parts.append(found.numpy()[: len(inputs) - first])
    return np.concatenate(parts)
