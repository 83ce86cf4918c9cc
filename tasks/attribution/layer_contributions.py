"""From layer to layer: where what a position sees comes from, and how much a group adds to the
groups behind it.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.cells import cell_grid
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.pooling import means, sums

_CELLS_AT_ONCE = 32


def seen_from_function(
    network: Network, layer: str, next_layer: str
) -> Callable[[tf.Tensor], np.ndarray]:
    """Return a function that tells where each cell of a layer gets what it has from, in a layer
    before it.

    The function takes one image, float32 `[1, height, width, channel]` in [0, 1], and returns
    float32 `[cell of next_layer, cell of layer]`: the gradient of the length of the activations in
    the one cell, times the activations in the other (spatial attribution to spatial positions of
    "The Building Blocks of Interpretability").
    """
    tail = network.between(layer, next_layer)
    card, behind = network.card.layer(layer), network.card.layer(next_layer)
    rows, columns = cell_grid(behind)
    read = _reader(network, layer, tail)

    @tf.function(autograph=False)
    def seen_from(activations: tf.Tensor, around: list[tf.Tensor], cells: tf.Tensor) -> tf.Tensor:
        values = _next_values(tail, behind, activations, around)
        # The square of a length has the length's gradient but for a factor; that of nothing has
        # none to divide by.
        squares = sums(tf.square(values), behind)
        lengths = tf.sqrt(tf.reduce_sum(squares, axis=2) + 1e-12)
        picked = tf.reduce_sum(lengths * tf.one_hot(cells, rows * columns))
        (gradient,) = tf.gradients(picked, [activations], unconnected_gradients="zero")
        return tf.reduce_sum(sums(activations * gradient, card), axis=2)

    def all_cells(image: tf.Tensor) -> np.ndarray:
        # Not copies of what the image makes: what goes around may be how many images there are.
        activations, around = read(tf.repeat(image, _CELLS_AT_ONCE, axis=0))
        parts = []
        for first in range(0, rows * columns, _CELLS_AT_ONCE):
            cells = np.arange(first, first + _CELLS_AT_ONCE) % (
                rows * columns
            )  # of one size, so that it is traced once
            parts.append(seen_from(activations, around, tf.constant(cells, tf.int32)).numpy())
        return np.concatenate(parts)[: rows * columns]

    return all_cells


def group_flow_function(
    network: Network, layer: str, next_layer: str, parts: np.ndarray, next_parts: np.ndarray
) -> Callable[[tf.Tensor, np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that tells how much of what the groups of a layer add to the score goes
    through each group of the next.

    Args:
        network: the model.
        layer: the one.
        next_layer: one behind it.
        parts: directions of the one's groups, float32 `[group, channel]`.
        next_parts: those of the next.

    Returns:
        A function from images, float32 `[batch, height, width, channel]` in [0, 1], how much of
        each group is in each cell of the layer, float32 `[batch, cell, group]`, and what a unit of
        each group of the next layer adds to the score in each of its cells, float32 `[batch, cell,
        group]`, to float32 `[batch, group, group of next_layer]`. If the groups accounted for all
        activations, and nothing went around the next layer, a row would add up to the attribution
        of the group.
    """
    tail = network.between(layer, next_layer)
    card, behind = network.card.layer(layer), network.card.layer(next_layer)
    # The activations' share in each group as a linear function of them: the one that gives each
    # direction itself and no other.
    readers = tf.constant(np.linalg.pinv(next_parts).T.astype(np.float32))
    directions = tf.constant(parts)
    read = _reader(network, layer, tail)

    @tf.function(autograph=False, reduce_retracing=True)
    def flow(
        activations: tf.Tensor, around: list[tf.Tensor], amounts: tf.Tensor, worth: tf.Tensor
    ) -> tf.Tensor:
        values = _next_values(tail, behind, activations, around)
        next_amounts = tf.einsum("bpc,gc->bpg", means(values, behind), readers)
        flows = []
        for group in range(len(next_parts)):
            score = tf.reduce_sum(next_amounts[:, :, group] * worth[:, :, group])
            (gradient,) = tf.gradients(score, [activations], unconnected_gradients="zero")
            flows.append(
                tf.reduce_sum(
                    amounts * tf.einsum("bpc,gc->bpg", sums(gradient, card), directions), axis=1
                )
            )
        return tf.stack(flows, axis=2)

    def flow_of(images: tf.Tensor, amounts: np.ndarray, worth: np.ndarray) -> np.ndarray:
        activations, around = read(images)
        found: np.ndarray = flow(
            activations, around, tf.constant(amounts), tf.constant(worth)
        ).numpy()
        return found

    return flow_of


def _next_values(
    tail: Tail, behind: LayerCard, activations: tf.Tensor, around: list[tf.Tensor]
) -> tf.Tensor:
    """Return the next layer's activations, in a shape that is known even where what goes around
    decides it.
    """
    (values,) = tail.run(activations, around)
    values.set_shape(
        [None, behind.height, behind.width, behind.channels]
        if behind.height
        else [None, behind.channels]
    )
    return values


def _reader(
    network: Network, layer: str, tail: Tail
) -> Callable[[tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]:
    """Return a function from images to a layer's activations, and the tensors around it."""

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def read(images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        activations, *around = network.run(images, [tail.layer, *tail.around])
        return activations, around

    return read
