"""Compute the details of single images: heat maps for several classes, and each cell's channels."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.attribution.attribution import Forward, gradients_inside
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.score import NONE, ChosenClasses, choose_classes
from diamond_cutter.tasks.attribution.spec import AttributionSpec, cell_grid, cell_side

TOP_CHANNELS = 4
PREDICTED = 5


class AttributionMap(NamedTuple):
    """The attribution of each cell of a layer, for the images of a batch.

    values: the attribution of each cell, float32 `[batch, cell]`.
    channels: the channels with the highest attribution in each cell, int32
        `[batch, cell, TOP_CHANNELS]`.
    """

    values: tf.Tensor
    channels: tf.Tensor


class LayerDetails(NamedTuple):
    """The details of a batch at one layer.

    maps: one map for each explanation.
    highest: the highest activation of each channel in each cell, float32 `[batch, cell, channel]`.
    channels: the channels with the highest activation, int32 `[batch, cell, TOP_CHANNELS]`.
    mean: the mean activation of each channel in each cell, float32 `[batch, cell, channel]`.
    gradients: the factors that turn activations into the first map's attributions, summed over
        each cell, float32 `[batch, cell, channel]`.
    attributed: the first map's attribution of each channel, summed over all cells, float32
        `[batch, channel]`.
    """

    maps: list[AttributionMap]
    highest: tf.Tensor
    channels: tf.Tensor
    mean: tf.Tensor
    gradients: tf.Tensor
    attributed: tf.Tensor


class BatchDetails(NamedTuple):
    """The details of a batch.

    classes: the classes with the highest logits, int32 `[batch, up to 5]`.
    probabilities: the probabilities of these classes, float32 `[batch, up to 5]`.
    explained: the classes that each map explains.
    layers: the details by layer.
    """

    classes: tf.Tensor
    probabilities: tf.Tensor
    explained: list[ChosenClasses]
    layers: list[LayerDetails]


def details_function(
    network: Network, spec: AttributionSpec
) -> Callable[[tf.Tensor], BatchDetails]:
    """Return a compiled function that computes the details of images.

    The function takes float32 `[batch, height, width, channel]` in [0, 1]. The first map explains
    the same as the whole report. Maps of single classes follow: the positive class, the negative
    class, and the class of the highest other logit, if that costs only one more gradient. Two
    classes by one score have one map, because all others are its multiples.
    """
    cards = [network.card.layer(name) for name in network.layers]

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def details(images: tf.Tensor) -> BatchDetails:
        forward = Forward(network, images)
        ranked = network.ranked(forward.logits, spec.threshold)
        explained, gradients = _explanations(forward, ranked, spec)
        classes = tf.math.top_k(ranked, min(PREDICTED, network.classes)).indices
        probabilities = tf.gather(
            network.probabilities(forward.logits), classes, axis=1, batch_dims=1
        )
        layers = [
            _layer_details(layer, card, [found[place] for found in gradients])
            for place, (card, layer) in enumerate(zip(cards, forward.activations, strict=True))
        ]
        return BatchDetails(classes, probabilities, explained, layers)

    return details


def _explanations(
    forward: Forward, ranked: tf.Tensor, spec: AttributionSpec
) -> tuple[list[ChosenClasses], list[list[tf.Tensor]]]:
    """Return the classes that each map explains, and the gradients by map and layer."""
    chosen = choose_classes(ranked, spec.positive, spec.negative)
    if forward.network.two_classes:
        return [chosen], gradients_inside(forward, [chosen], spec)
    singles = _single_classes(ranked, chosen, spec)
    gradients = gradients_inside(forward, singles, spec)
    if not _is_difference(spec, forward.network.classes):
        return singles, gradients
    # The gradient of a difference is the difference of the two logits' gradients.
    difference = [one - other for one, other in zip(gradients[0], gradients[1], strict=True)]
    return [chosen, *singles], [difference, *gradients]


def _layer_details(layer: tf.Tensor, card: LayerCard, gradients: list[tf.Tensor]) -> LayerDetails:
    """Return a layer's details, given its activations and one gradient for each map."""
    highest = cell_maxima(layer, card)
    attributed = [cell_sums(layer * gradient, card) for gradient in gradients]
    return LayerDetails(
        maps=[
            AttributionMap(tf.reduce_sum(values, axis=2), _top_channels(values))
            for values in attributed
        ],
        highest=highest,
        channels=_top_channels(highest),
        mean=cell_means(layer, card),
        gradients=cell_sums(gradients[0], card),
        attributed=tf.reduce_sum(attributed[0], axis=1),
    )


def _is_difference(spec: AttributionSpec, classes: int) -> bool:
    """Tell whether the score is the difference of two logits; one class has no such difference."""
    return spec.positive != "all" and (
        isinstance(spec.negative, int) or (spec.negative == "auto" and classes > 1)
    )


def _single_classes(
    logits: tf.Tensor, chosen: ChosenClasses, spec: AttributionSpec
) -> list[ChosenClasses]:
    """Return the single classes to explain for each image, without duplicates."""
    nobody = tf.fill([tf.shape(logits)[0]], NONE)
    singles = [chosen.positive]
    if spec.positive == "all" and spec.negative != "none":
        return [chosen]
    if _is_difference(spec, logits.shape[1]):
        singles.append(chosen.negative)
    if all(spec.method_of(layer) == "gradient" for layer in spec.layers):
        order = tf.math.top_k(logits, min(3, logits.shape[1])).indices
        taken = tf.reduce_any([tf.equal(order, single[:, None]) for single in singles], axis=0)
        # A stable sort moves the classes that are already listed to the end.
        rest = tf.gather(
            order, tf.argsort(tf.cast(taken, tf.int32), axis=1, stable=True), axis=1, batch_dims=1
        )
        singles += [rest[:, 0]] if logits.shape[1] > len(singles) else []
    return [ChosenClasses(single, nobody) for single in singles]


def _top_channels(values: tf.Tensor) -> tf.Tensor:
    return tf.math.top_k(values, min(TOP_CHANNELS, values.shape[-1])).indices


def cell_sums(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the sum over each cell, `[batch, cell, channel]`.

    Args:
        values: `[batch, row, column, channel]`, or `[batch, channel]` for a vector.
        layer: the layer that the values belong to.
    """
    return tf.reduce_sum(_split_into_cells(values, layer, 0.0), axis=2)


def cell_means(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the mean over each cell; shapes are as in `cell_sums`."""
    return cell_sums(values, layer) / cell_sums(tf.ones_like(values[:1, ..., :1]), layer)


def cell_maxima(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the highest value in each cell; shapes are as in `cell_sums`."""
    return tf.reduce_max(_split_into_cells(values, layer, values.dtype.min), axis=2)


def _split_into_cells(values: tf.Tensor, layer: LayerCard, padding: float) -> tf.Tensor:
    """Return `[batch, cell, position in the cell, channel]`; cells at the edge are padded."""
    channels = values.shape[-1]
    if layer.height is None or layer.width is None:
        return tf.reshape(values, [-1, 1, 1, channels])
    side, (rows, columns) = cell_side(layer), cell_grid(layer)
    over = [[0, 0], [0, rows * side - layer.height], [0, columns * side - layer.width], [0, 0]]
    padded = tf.pad(values, over, constant_values=padding) if side > 1 else values
    apart = tf.reshape(padded, [-1, rows, side, columns, side, channels])
    return tf.reshape(
        tf.transpose(apart, [0, 1, 3, 2, 4, 5]), [-1, rows * columns, side * side, channels]
    )


class SamePlace:
    """Keeps the images with the highest activation of each channel in each cell of a layer.

    It sees each image once.
    """

    KEPT = 4

    def __init__(self, cells: int, channels: int) -> None:
        self._values = np.full((cells, channels, self.KEPT), -np.inf, np.float32)
        self._images = np.full((cells, channels, self.KEPT), -1, np.int32)

    def add(self, number: int, highest: npt.NDArray[np.float32]) -> None:
        """Add an image by its number and its highest activations, float32 `[cell, channel]`."""
        values = np.concatenate([self._values, highest[:, :, None]], axis=2)
        images = np.concatenate(
            [self._images, np.full((*highest.shape, 1), number, np.int32)], axis=2
        )
        order = np.argsort(-values, axis=2, kind="stable")[:, :, : self.KEPT]
        self._values = np.take_along_axis(values, order, 2)
        self._images = np.take_along_axis(images, order, 2)

    def others(self, number: int, channels: npt.NDArray[np.integer]) -> tuple[tuple[int, ...], ...]:
        """Return, by cell, the other images in which the cell's channel is highest and above 0.

        Args:
            number: the image to leave out.
            channels: one channel for each cell, int `[cell]`.
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
