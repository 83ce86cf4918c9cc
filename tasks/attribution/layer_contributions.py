"""Attribute from layer to layer: where a position's activations come from, and how much neuron
groups add to the groups of the next layer.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.model_inventory.graph.cutting import Tail
from diamond_cutter.tasks.attribution.details import cell_means, cell_sums
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.spec import cell_grid

_CELLS_AT_ONCE = 32

# The arguments are images, float32 `[batch, height, width, channel]` in [0, 1], the amount of each
# group in each cell of the layer, float32 `[batch, cell, group]`, and the score that a unit of each
# next group adds in each cell of the next layer, float32 `[batch, cell, group]`. The result is
# float32 `[batch, group, group of the next layer]`.
GroupFlow = Callable[
    [tf.Tensor, npt.NDArray[np.float32], npt.NDArray[np.float32]], npt.NDArray[np.float32]
]


def seen_from_function(
    network: Network, layer: str, next_layer: str
) -> Callable[[tf.Tensor], npt.NDArray[np.float32]]:
    """Return a function that attributes each cell of `next_layer` to the cells of `layer`.

    The function takes one image, float32 `[1, height, width, channel]` in [0, 1], and returns
    float32 `[cell of next_layer, cell of layer]`. It multiplies the activations of `layer` with the
    gradient of the norm of the cell's activations (spatial attribution to spatial positions in "The
    Building Blocks of Interpretability").
    """
    tail = network.part_between(layer, next_layer)
    card, next_card = network.card.layer(layer), network.card.layer(next_layer)
    rows, columns = cell_grid(next_card)
    read = _reader(network, layer, tail)

    @tf.function(autograph=False)
    def seen_from(activations: tf.Tensor, around: list[tf.Tensor], cells: tf.Tensor) -> tf.Tensor:
        values = _next_values(tail, next_card, activations, around)
        # The small number keeps the gradient of a zero norm finite.
        squares = cell_sums(tf.square(values), next_card)
        lengths = tf.sqrt(tf.reduce_sum(squares, axis=2) + 1e-12)
        picked = tf.reduce_sum(lengths * tf.one_hot(cells, rows * columns))
        (gradient,) = tf.gradients(picked, [activations], unconnected_gradients="zero")
        return tf.reduce_sum(cell_sums(activations * gradient, card), axis=2)

    def all_cells(image: tf.Tensor) -> npt.NDArray[np.float32]:
        # The image is repeated, not its activations: the tensors around may hold the batch size.
        activations, around = read(tf.repeat(image, _CELLS_AT_ONCE, axis=0))
        parts = []
        for first in range(0, rows * columns, _CELLS_AT_ONCE):
            # Always the same number of cells, so that the function is traced once.
            cells = np.arange(first, first + _CELLS_AT_ONCE) % (rows * columns)
            parts.append(seen_from(activations, around, tf.constant(cells, tf.int32)).numpy())
        return np.concatenate(parts)[: rows * columns]

    return all_cells


def group_flow_function(
    network: Network,
    layer: str,
    next_layer: str,
    directions: npt.NDArray[np.float32],
    next_directions: npt.NDArray[np.float32],
) -> GroupFlow:
    """Return a function that splits the attribution of a layer's groups over the next groups.

    If the groups explained all activations, and nothing bypassed the next layer, each row of the
    result would add up to the attribution of its group.

    Args:
        network: the model.
        layer: the name of a layer.
        next_layer: the name of a later layer.
        directions: the groups of `layer`, float32 `[group, channel]`.
        next_directions: the groups of `next_layer`, float32 `[group, channel]`.
    """
    tail = network.part_between(layer, next_layer)
    card, next_card = network.card.layer(layer), network.card.layer(next_layer)
    # This linear map returns 1 for a group's own direction and 0 for the other directions.
    readers = tf.constant(np.linalg.pinv(next_directions).T.astype(np.float32))
    read = _reader(network, layer, tail)

    @tf.function(autograph=False, reduce_retracing=True)
    def flow(
        activations: tf.Tensor, around: list[tf.Tensor], amounts: tf.Tensor, worth: tf.Tensor
    ) -> tf.Tensor:
        values = _next_values(tail, next_card, activations, around)
        next_amounts = tf.einsum("bpc,gc->bpg", cell_means(values, next_card), readers)
        flows = []
        for group in range(len(next_directions)):
            score = tf.reduce_sum(next_amounts[:, :, group] * worth[:, :, group])
            flows.append(tf.reduce_sum(amounts * _along(directions, score, activations, card), 1))
        return tf.stack(flows, axis=2)

    return lambda images, amounts, worth: flow(
        *read(images), tf.constant(amounts), tf.constant(worth)
    ).numpy()


def _along(
    directions: npt.NDArray[np.float32], score: tf.Tensor, activations: tf.Tensor, card: LayerCard
) -> tf.Tensor:
    """Return the score's gradient along each direction in each cell, `[batch, cell, group]`."""
    (gradient,) = tf.gradients(score, [activations], unconnected_gradients="zero")
    return tf.einsum("bpc,gc->bpg", cell_sums(gradient, card), tf.constant(directions))


def _next_values(
    tail: Tail, next_card: LayerCard, activations: tf.Tensor, around: list[tf.Tensor]
) -> tf.Tensor:
    """Return the next layer's activations, with a static shape."""
    (values,) = tail.run(activations, around)
    # The shape can be unknown, if one of the tensors around decides it.
    values.set_shape(
        [None, next_card.height, next_card.width, next_card.channels]
        if next_card.height
        else [None, next_card.channels]
    )
    return values


def _reader(
    network: Network, layer: str, tail: Tail
) -> Callable[[tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]:
    """Return a function from images to a layer's activations and the tensors around it."""

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def read(images: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        activations, *around = network.run(images, [tail.layer, *tail.around])
        return activations, around

    return read
