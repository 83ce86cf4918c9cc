"""Cells: a layer's positions, put together where there are more than a person can point at."""

import math

import tensorflow as tf

from model_inventory.card import LayerCard

MOST_IN_A_ROW = 20


def cell_grid(layer: LayerCard) -> tuple[int, int]:
    """Return the rows and columns of a layer's cells; a vector has one cell."""
    side = side_of(layer)
    return math.ceil((layer.height or 1) / side), math.ceil((layer.width or 1) / side)


def side_of(layer: LayerCard) -> int:
    """Return how many positions in a row, and in a column, are one cell."""
    return math.ceil(max(layer.height or 1, layer.width or 1) / MOST_IN_A_ROW)


def sums(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the sum in each cell, `[batch, cell, channel]`, of `[batch, row, column, channel]` or `[batch, channel]`."""
    return tf.reduce_sum(_in_cells(values, layer, 0.0), axis=2)


def means(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the mean in each cell, as `sums`."""
    return sums(values, layer) / sums(tf.ones_like(values[:1, ..., :1]), layer)


def highest(values: tf.Tensor, layer: LayerCard) -> tf.Tensor:
    """Return the highest value in each cell, as `sums`."""
    return tf.reduce_max(_in_cells(values, layer, values.dtype.min), axis=2)


def _in_cells(values: tf.Tensor, layer: LayerCard, filling: float) -> tf.Tensor:
    """Return values as `[batch, cell, position in the cell, channel]`; cells that stand over the edge are filled up."""
    channels = values.shape[-1]
    if layer.height is None or layer.width is None:
        return tf.reshape(values, [-1, 1, 1, channels])
    side, (rows, columns) = side_of(layer), cell_grid(layer)
    over = [[0, 0], [0, rows * side - layer.height], [0, columns * side - layer.width], [0, 0]]
    padded = tf.pad(values, over, constant_values=filling) if side > 1 else values
    apart = tf.reshape(padded, [-1, rows, side, columns, side, channels])
    return tf.reshape(tf.transpose(apart, [0, 1, 3, 2, 4, 5]), [-1, rows * columns, side * side, channels])
