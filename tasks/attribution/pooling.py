"""Puts a layer's values together by cells."""

import tensorflow as tf

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.attribution.cells import cell_grid, side_of


def sums(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the sum in each cell, `[batch, cell, channel]`, of `[batch, row, column, channel]` or
    `[batch, channel]`.
    """
    return tf.reduce_sum(_in_cells(values, layer, 0.0), axis=2)


def means(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the mean in each cell, as `sums`."""
    return sums(values, layer) / sums(tf.ones_like(values[:1, ..., :1]), layer)


def highest(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the highest value in each cell, as `sums`."""
    return tf.reduce_max(_in_cells(values, layer, values.dtype.min), axis=2)


def _in_cells(values: tf.Tensor, layer: LayerCard, filling: float) -> tf.Tensor:
    """Return values as `[batch, cell, position in the cell, channel]`; cells that stand over the
    edge are filled up.
    """
    channels = values.shape[-1]
    if layer.height is None or layer.width is None:
        return tf.reshape(values, [-1, 1, 1, channels])
    side, (rows, columns) = side_of(layer), cell_grid(layer)
    over = [[0, 0], [0, rows * side - layer.height], [0, columns * side - layer.width], [0, 0]]
    padded = tf.pad(values, over, constant_values=filling) if side > 1 else values
    apart = tf.reshape(padded, [-1, rows, side, columns, side, channels])
    return tf.reshape(
        tf.transpose(apart, [0, 1, 3, 2, 4, 5]), [-1, rows * columns, side * side, channels]
    )
