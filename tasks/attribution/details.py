"""What the report shows of single images: heat maps for several classes, and what each cell
sees.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from diamond_cutter.tasks.attribution.attribution import Forward, gradients_inside
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.pooling import highest, means, sums
from diamond_cutter.tasks.attribution.score import NONE, Chosen, choose
from diamond_cutter.tasks.attribution.spec import AttributionSpec

TOP_CHANNELS = 4
PREDICTED = 5


class Map(NamedTuple):
    """What explains a batch at a layer.

    values: the attribution of each cell, float32 `[batch, cell]`.
    channels: those of the highest attribution in each cell, int32 `[batch, cell, TOP_CHANNELS]`.
    """

    values: tf.Tensor
    channels: tf.Tensor


class LayerDetails(NamedTuple):
    """A batch at a layer.

    maps: by what is explained.
    highest: each channel's highest activation in each cell, float32 `[batch, cell, channel]`.
    channels: the channels of the highest, int32 `[batch, cell, TOP_CHANNELS]`.
    mean: each channel's mean activation in each cell, float32 `[batch, cell, channel]`.
    gradients: what activations are multiplied with in the first map, summed up in each cell,
    float32 `[batch, cell, channel]`.
    """

    maps: list[Map]
    highest: tf.Tensor
    channels: tf.Tensor
    mean: tf.Tensor
    gradients: tf.Tensor


class BatchDetails(NamedTuple):
    """A batch: its classes of the highest probabilities `[batch, up to 5]`, with these; what is
    explained; and its layers.
    """

    classes: tf.Tensor
    probabilities: tf.Tensor
    explained: list[Chosen]
    layers: list[LayerDetails]


def details_function(
    network: Network, spec: AttributionSpec
) -> Callable[[tf.Tensor], BatchDetails]:
    """Return a compiled function from images, float32 `[batch, height, width, channel]` in [0, 1],
    to what is shown of them.

    What the whole report explains comes first, and then single classes: the one, the one that it is
    held against, and, where that costs just another gradient, that of the highest logit that is not
    among these.
    """
    cards = [network.card.layer(name) for name in network.layers]

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def details(images: tf.Tensor) -> BatchDetails:
        forward = Forward(network, images)
        chosen = choose(forward.logits, spec.positive, spec.negative)
        singles = _singles(forward.logits, chosen, spec)
        gradients = [gradients_inside(forward, single, spec) for single in singles]
        if _is_difference(spec, network.classes):
            # Of a difference of two logits the gradient is that of the one less that of the other.
            explained = [chosen, *singles]
            gradients = [
                [one - other for one, other in zip(gradients[0], gradients[1], strict=True)],
                *gradients,
            ]
        else:
            explained = singles
        probabilities, classes = tf.math.top_k(
            network.probabilities(forward.logits), min(PREDICTED, network.classes)
        )
        layers = []
        for place, (card, layer) in enumerate(zip(cards, forward.activations, strict=True)):
            high = highest(layer, card)
            attributed = [sums(layer * found[place], card) for found in gradients]
            maps = [Map(tf.reduce_sum(values, axis=2), _top(values)) for values in attributed]
            layers.append(
                LayerDetails(
                    maps, high, _top(high), means(layer, card), sums(gradients[0][place], card)
                )
            )
        return BatchDetails(classes, probabilities, explained, layers)

    return details


def _is_difference(spec: AttributionSpec, classes: int) -> bool:
    """Tell whether one class is held against another; a model of a single class has no other."""
    return spec.positive != "all" and (
        isinstance(spec.negative, int) or (spec.negative == "auto" and classes > 1)
    )


def _singles(logits: tf.Tensor, chosen: Chosen, spec: AttributionSpec) -> list[Chosen]:
    """Return the single classes that are explained of each image, none of them twice."""
    nobody = tf.fill([tf.shape(logits)[0]], NONE)
    singles = [chosen.positive]
    if spec.positive == "all" and spec.negative != "none":
        return [chosen]
    if _is_difference(spec, logits.shape[1]):
        singles.append(chosen.negative)
    if spec.method == "gradient":
        order = tf.math.top_k(logits, min(3, logits.shape[1])).indices
        taken = tf.reduce_any([tf.equal(order, single[:, None]) for single in singles], axis=0)
        # What is not among them yet, the highest first: sorting is stable.
        rest = tf.gather(
            order, tf.argsort(tf.cast(taken, tf.int32), axis=1, stable=True), axis=1, batch_dims=1
        )
        singles += [rest[:, 0]] if logits.shape[1] > len(singles) else []
    return [Chosen(single, nobody) for single in singles]


def _top(values: tf.Tensor) -> tf.Tensor:
    return tf.math.top_k(values, min(TOP_CHANNELS, values.shape[-1])).indices


class SamePlace:
    """Keeps, for each cell and channel of a layer, the images in which it is highest there, from
    images that are seen once.
    """

    KEPT = 4

    def __init__(self, cells: int, channels: int) -> None:
        self._values = np.full((cells, channels, self.KEPT), -np.inf, np.float32)
        self._images = np.full((cells, channels, self.KEPT), -1, np.int32)

    def add(self, number: int, highest: np.ndarray) -> None:
        """Look at an image: its number, and each channel's highest activation in each cell, float32
        `[cell, channel]`.
        """
        values = np.concatenate([self._values, highest[:, :, None]], axis=2)
        images = np.concatenate(
            [self._images, np.full((*highest.shape, 1), number, np.int32)], axis=2
        )
        order = np.argsort(-values, axis=2, kind="stable")[:, :, : self.KEPT]
        self._values, self._images = (
            np.take_along_axis(values, order, 2),
            np.take_along_axis(images, order, 2),
        )

    def others(self, number: int, channels: np.ndarray) -> tuple[tuple[int, ...], ...]:
        """Return, by cell, the other images in which a channel, int32 `[cell]`, is highest there
        and not silent.
        """
        cells = np.arange(len(channels))
        images, values = self._images[cells, channels], self._values[cells, channels]
        return tuple(
            tuple(
                int(image)
                for image, value in zip(row, high, strict=True)
                if image not in (number, -1) and value > 0
            )[: self.KEPT - 1]
            for row, high in zip(images, values, strict=True)
        )
