"""Measure what each channel of a layer adds to the logit of a class, over the class's images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.attribution.attribution import Forward, by_position, gradients_inside
from diamond_cutter.tasks.attribution.batches import NumberedImage, batches
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.score import NONE, ChosenClasses
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.comparing.class_means import IMAGES_OF_CLASS, ClassContributions
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.reporting.choosing import evenly

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle


def class_contributions(
    bundle: "Bundle",
    layer: str,
    labels: Mapping[str, Sequence[tuple[int, int]]],
    images: Mapping[int, FoundImage],
) -> dict[str, ClassContributions]:
    """Return the contributions of a layer's channels to the images' classes, by label.

    A contribution is the gradient of the logit of an image's class times the activation, summed
    over the positions. If only pooling and one dense layer follow the layer, the contributions add
    up to the logit without its bias.

    Args:
        bundle: of the model.
        layer: the layer.
        labels: the number and the class of each image of a label; at most `IMAGES_OF_CLASS` of
            them, evenly spaced, are measured.
        images: by number.
    """
    network = network_of(bundle, [layer])
    spec = AttributionSpec(layers=(layer,), positive=0, negative="none", steps=1, sprites="")

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *bundle.card.image.shape]),
            tf.TensorSpec([None], tf.int32),
        ],
        autograph=False,
    )
    def contributions(pixels: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
        forward = Forward(network, pixels)
        nobody = tf.fill([tf.shape(pixels)[0]], NONE)
        ((gradient,),) = gradients_inside(forward, [ChosenClasses(chosen, nobody)], spec)
        return tf.reduce_sum(by_position(forward.activations[0] * gradient), axis=1)

    found = {}
    for name, of_label in labels.items():
        classes = dict(evenly(of_label, IMAGES_OF_CLASS))
        numbered = [NumberedImage(each, images[each]) for each in classes]
        rows = [
            contributions(
                batch.pixels, np.array([classes[each.number] for each in batch.images], np.int32)
            ).numpy()
            for batch in batches(numbered, bundle.card.image.shape, {})
        ]
        if rows:
            found[name] = _summed(np.concatenate(rows))
    return found


def _summed(rows: npt.NDArray[np.float32]) -> ClassContributions:
    from scipy import stats

    count, values = len(rows), rows.astype(np.float64)
    if count < 2:
        half = np.full(values.shape[1], np.nan)
    else:
        error = values.std(axis=0, ddof=1) / np.sqrt(count)
        half = float(stats.t.ppf(0.975, count - 1)) * error
    return ClassContributions(values.mean(axis=0), half, count)
