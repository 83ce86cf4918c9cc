"""Reshapes values without moving more of them than necessary.

A reshape in a file has fixed numbers, from the size at export. Here, axes that stay take their
length from the image instead, so that the graph accepts images of any size.
"""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.values import Order, Value, constant, in_order, plain


def reshaped(value: Value, shape: tuple[int, ...]) -> Value:
    """Return a value with other axes.

    Axes at the front and the back that stay keep their length for images of any size, and their
    place in memory. Only the axes between them are brought into ONNX's order.

    Args:
        value: with its shape at the model's own size.
        shape: at that size, in the order of ONNX.
    """
    if math.prod(shape) != math.prod(value.shape) or min(shape, default=1) < 0:
        raise BadModel(f"it makes {shape} of {value.shape}: expected as many numbers")
    if value.is_constant:
        return constant(plain(value).data.reshape(shape))
    if shape == value.shape:
        return value
    if value.flat:
        return Value(tf.reshape(value.data, [-1, *shape[1:]]), tuple(range(len(shape))), 1)
    if len(shape) == 1 and value.shape[0] == 1:
        size = [-1, shape[0]] if None not in value.data.shape[1:] else [tf.shape(value.data)[0], -1]
        return Value(tf.reshape(plain(value).data, size), (0,), flat=True)
    if value.origin is not None and value.origin.shape == shape:
        before = plain(value.origin)
        sides = [_side(before, place) for place in range(before.rank)]
        data = tf.reshape(plain(value).data, _shape(before, sides))
        return Value(data, before.order, before.channels)
    front, back = _kept(value.shape, shape)
    given = value
    old, new = range(front, value.rank - back), range(front, len(shape) - back)
    value = in_order(value, _with_neighbours(value.order, old))
    sides, order = [], list[int]()
    for place, axis in enumerate(value.order):
        if place == (value.order.index(front) if old else front):
            sides += _new_sides(value, old, [shape[each] for each in new])
            order += new
        if axis not in old:
            sides.append(_side(value, place))
            order.append(axis if axis < front else axis + len(shape) - value.rank)
    if not old and front == value.rank:
        sides, order = sides + [shape[each] for each in new], [*order, *new]
    return Value(
        tf.reshape(value.data, _shape(value, sides)),
        tuple(order),
        _channels(value, front, back, len(shape)),
        origin=given,
    )


def _kept(before: Sequence[int], after: Sequence[int]) -> tuple[int, int]:
    """Return the number of axes that stay at the front and at the back."""
    most = min(len(before), len(after))
    front = next((i for i in range(most) if before[i] != after[i]), most)
    back = 0
    while back < most - front and before[-1 - back] == after[-1 - back]:
        back += 1
    return front, back


def _with_neighbours(order: Order, axes: range) -> Order:
    """Return the order with some axes side by side, where the last of them lies in memory."""
    if not axes:
        # New axes come between two that must follow each other.
        return tuple(range(len(order)))
    last = max(order.index(axis) for axis in axes)
    behind = order[last + 1 :]
    before = [axis for axis in order[: last + 1] if axis not in axes]
    return (*before, *axes, *behind)


def _new_sides(value: Value, old: range, sides: list[int]) -> list[int | None]:
    """Return the lengths of new axes in place of old ones; None takes what depends on the image."""
    depends = any(
        value.data.shape[place] is None for place, axis in enumerate(value.order) if axis in old
    )
    if not depends or not sides:
        return list(sides)
    if len(sides) == 1 or old[0] == 0:  # the batch is at the front
        return [None, *sides[1:]]
    # Groups of channels come before rows and columns.
    return [*sides[:-1], None] if len(sides) == 2 else list(sides)


def _side(value: Value, place: int) -> Any:
    known = value.data.shape[place]
    return tf.shape(value.data)[place] if known is None else known


def _shape(value: Value, sides: Sequence[Any]) -> Any:
    """Return a shape for TensorFlow. -1 stands for the side that follows from the others."""
    if sum(side is None for side in value.data.shape) <= 1:
        return [side if isinstance(side, int) else -1 for side in sides]
    return tf.stack([-1 if side is None else side for side in sides])


def _channels(value: Value, front: int, back: int, rank: int) -> int | None:
    if value.channels is not None:
        if value.channels < front:
            return value.channels
        if value.channels >= value.rank - back:
            return value.channels + rank - value.rank
    return 1 if rank in (2, 4) else None
