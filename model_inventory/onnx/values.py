"""The values between ONNX nodes, and the order in which their axes lie in memory.

ONNX keeps the channels first, TensorFlow's convolutions take them last. So each value knows which
axis of ONNX each of its axes in memory is. A transposition in the file only changes this order. The
data are moved only for an operation that needs another order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel

Array = npt.NDArray[Any]
Order = tuple[int, ...]

# Elements of a constant that is computed while the file is read, and of an expanded image.
MOST_IN_CONSTANTS, MOST_IN_IMAGES = 1 << 24, 1 << 28


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the image, or a constant.

    Attributes:
        data: in memory.
        order: for each axis in memory, the axis of ONNX.
        channels: the axis of ONNX that holds the channels, None if unknown.
        shape: in the order of ONNX, for one batch of images as large as the model's own.
        flat: the file joins all axes of a batch of one image. The data keep the batch in front.
        origin: the value whose axes were joined to those of this one, for the way back.
    """

    data: Any
    order: Order
    channels: int | None = None
    shape: tuple[int, ...] = field(default=())
    flat: bool = False
    origin: "Value | None" = None

    @property
    def is_constant(self) -> bool:
        """Tell whether the value does not depend on the image."""
        return isinstance(self.data, np.ndarray)

    @property
    def rank(self) -> int:
        """Return the number of axes."""
        return len(self.order)

    def place(self, axis: int) -> int:
        """Return the axis in memory of an axis of ONNX, which may count from the end."""
        if not -self.rank <= axis < self.rank:
            raise BadModel(f"axis {axis} does not exist: expected one of {self.rank} axes")
        return self.order.index(axis % self.rank)

    def side(self, axis: int) -> int | None:
        """Return the length of an axis of ONNX, None if it depends on the image."""
        length: int | None = self.data.shape[self.place(axis)]
        return length

    def sides(self) -> tuple[int | None, ...]:
        """Return the lengths of all axes, in the order of ONNX."""
        if self.flat:
            return (self.data.shape[1],)
        return tuple(self.side(axis) for axis in range(self.rank))


def constant(array: Array) -> Value:
    """Return a constant."""
    return Value(array, tuple(range(array.ndim)), shape=array.shape)


def channels_last(rank: int) -> Order:
    """Return the order of TensorFlow's images, with the channels of ONNX (axis 1) last."""
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


def in_order(value: Value, order: Order) -> Value:
    """Return the value with its axes in another order in memory."""
    if value.order == order:
        return value
    moved = [value.order.index(axis) for axis in order]
    move = np.transpose if value.is_constant else tf.transpose
    return replace(value, data=move(value.data, moved), order=order)


def as_image(value: Value) -> Value:
    """Return a value of four axes with the channels last in memory.

    Raises:
        BadModel: the value has another number of axes.
    """
    if value.rank != 4:
        raise BadModel(
            f"its input has the wrong number of axes: expected 4, for images, found {value.rank}"
        )
    return replace(in_order(value, channels_last(4)), channels=1)


def image_value(data: tf.Tensor) -> Value:
    """Return an image `[batch, height, width, channel]` as a value."""
    return Value(data, channels_last(4), channels=1)


def plain(value: Value) -> Value:
    """Return the value with its axes in ONNX's order in memory."""
    return in_order(value, tuple(range(value.rank)))


def like(value: Value, data: Any) -> Value:
    """Return other data with the axes of a value."""
    return Value(data, value.order, value.channels, origin=value.origin)


def aligned(values: Sequence[Value]) -> tuple[list[Any], Value]:
    """Return the data of values that are combined element by element, and one with the axes.

    Axes that a value lacks are added in front, as ONNX broadcasts.
    """
    rank = max(value.rank for value in values)
    whole = [value for value in values if value.rank == rank and not value.is_constant]
    computed = whole or [value for value in values if value.rank == rank]
    model = next((value for value in computed if value.order == channels_last(rank)), computed[0])
    moved = [in_order(_with_rank(value, rank), model.order) for value in values]
    data = [_without_leading_ones(each.data) if each.is_constant else each.data for each in moved]
    return data, model


def check_elements(sides: Sequence[int], most: int = MOST_IN_CONSTANTS) -> None:
    """Refuse shapes that no image network has.

    Raises:
        BadModel: the shape has too many elements.
    """
    count = math.prod(abs(side) or 1 for side in sides)
    if count > most:
        raise BadModel(f"its output is too large: expected at most {most} numbers, found {count}")


def _with_rank(value: Value, rank: int) -> Value:
    added = rank - value.rank
    if not added:
        return value
    index = (None,) * added + (Ellipsis,)
    order = (*range(added), *(axis + added for axis in value.order))
    channels = None if value.channels is None else value.channels + added
    return Value(value.data[index], order, channels)


def _without_leading_ones(array: Array) -> Array:
    """Return a constant without axes of one in front, which broadcasting adds again."""
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    return array
