"""Compute the classes that a model finds under several preprocessings, in a device's process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.tasks.attribution.batches import NumberedImage, batches
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.importing.stored import find_or_import

if TYPE_CHECKING:
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import Bundle


@dataclass(frozen=True)
class CheckJob:
    """Images that a model classifies under each of some preprocessings."""

    bucket: str
    model: str
    images: tuple[NumberedImage, ...]
    preprocessings: tuple[ImageSpec, ...]


@dataclass(frozen=True)
class Classified:
    """The classes that a model finds.

    numbers: of the readable images.
    classes: of the highest logit, int64 `[preprocessing, image]`.
    refused: the reason for each unreadable image, by name.
    """

    numbers: tuple[int, ...]
    classes: npt.NDArray[np.int64]
    refused: Mapping[str, str]


def classify(job: CheckJob) -> Classified:
    """Return the class of each image under each preprocessing; images are decoded once."""
    bundle, refused = find_or_import(job.bucket, job.model), dict[str, str]()
    function, numbers, parts = _top_class(bundle), list[int](), list[npt.NDArray[np.int64]]()
    for batch in batches(job.images, bundle.card.image.shape, refused):
        numbers += [each.number for each in batch.images]
        parts.append(np.stack([function(batch.pixels, image) for image in job.preprocessings]))
        report_progress(len(batch.images))
    none = np.empty((len(job.preprocessings), 0), np.int64)
    return Classified(tuple(numbers), np.concatenate([none, *parts], axis=1), refused)


def _top_class(
    bundle: "Bundle",
) -> Callable[[npt.NDArray[np.float32], ImageSpec], npt.NDArray[np.int64]]:
    """Return a function from images in [0, 1] and their preprocessing to classes, `[image]`."""
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import layer_graph, to_model_input
    from diamond_cutter.model_inventory.graph.graph_def import run_inside

    card = bundle.card
    graph, tensors = layer_graph(bundle, [card.check_logits().name])

    @tf.function(input_signature=[tf.TensorSpec([None, *card.image.shape])], autograph=False)
    def top(values: "tf.Tensor") -> "tf.Tensor":
        logits = run_inside(graph, card.input_tensor, values, tensors)[0]
        return tf.argmax(tf.reshape(logits, [tf.shape(values)[0], -1]), axis=1)

    def function(pixels: npt.NDArray[np.float32], image: ImageSpec) -> npt.NDArray[np.int64]:
        values = to_model_input(tf.constant(pixels), card.model_copy(update={"image": image}))
        return np.asarray(top(values), np.int64)

    return function
