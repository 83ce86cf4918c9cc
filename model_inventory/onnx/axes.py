"""ONNX operators that move values or compute shapes: reshapes, slices, concatenations."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step
from diamond_cutter.model_inventory.onnx.reshaping import reshaped
from diamond_cutter.model_inventory.onnx.values import (
    MOST_IN_CONSTANTS,
    MOST_IN_IMAGES,
    Array,
    Value,
    channels_last,
    check_elements,
    constant,
    in_order,
    like,
    plain,
)


def _identity(step: Step) -> Value:
    return step.value()


def _transpose(step: Step) -> Value:
    value = step.value()
    axes = [int(axis) for axis in step.attributes.get("perm", range(value.rank)[::-1])]
    if sorted(axes) != list(range(value.rank)):
        raise BadModel(f"its axes are {axes}: expected each of {value.rank} axes once")
    channels = None if value.channels is None else axes.index(value.channels)
    if value.is_constant:
        return constant(np.transpose(value.data, axes))
    return Value(value.data, tuple(axes.index(axis) for axis in value.order), channels)


def _flatten(step: Step) -> Value:
    value, axis = step.value(), step.whole("axis", 1)
    axis = axis % value.rank if axis < 0 else axis
    return reshaped(value, (math.prod(value.shape[:axis]), math.prod(value.shape[axis:])))


def _reshape(step: Step) -> Value:
    value, wanted = step.value(), step.whole_numbers("shape", 1)
    if wanted is None:
        raise BadModel("it has no shape")
    shape = [
        value.shape[place] if side == 0 and not step.whole("allowzero", 0) else side
        for place, side in enumerate(wanted)
    ]
    if -1 in shape:
        known = math.prod(side for side in shape if side != -1)
        shape[shape.index(-1)] = math.prod(value.shape) // max(known, 1)
    return reshaped(value, tuple(shape))


def _squeeze(step: Step) -> Value:
    value, axes = step.value(), step.whole_numbers("axes", 1)
    if axes is None:
        axes = [axis for axis, side in enumerate(value.shape) if side == 1]
    gone = {axis % value.rank for axis in axes}
    places = [value.place(axis) for axis in gone]
    squeeze = np.squeeze if value.is_constant else tf.squeeze
    return without_axes(value, squeeze(value.data, tuple(places)), gone)


def without_axes(value: Value, data: Any, gone: set[int]) -> Value:
    """Return data that lacks some axes of a value."""
    kept = [axis for axis in range(value.rank) if axis not in gone]
    order = tuple(kept.index(axis) for axis in value.order if axis not in gone)
    channels = kept.index(value.channels) if value.channels in kept else None
    return Value(data, order, channels if channels is not None else (1 if len(kept) == 2 else None))


def _unsqueeze(step: Step) -> Value:
    value, axes = plain(step.value()), step.whole_numbers("axes", 1) or []
    rank = value.rank + len(axes)
    data = value.data
    for axis in sorted(axis % rank for axis in axes):
        data = np.expand_dims(data, axis) if value.is_constant else tf.expand_dims(data, axis)
    return Value(data, tuple(range(rank)), 1 if rank == 4 else None)


def _concatenation(step: Step) -> Value:
    values = [step.value(index) for index in range(len(step.inputs))]
    if len(values) == 1:
        return values[0]
    computed = [value for value in values if not value.is_constant] or values
    rank = computed[0].rank
    if all(value.is_constant for value in values):
        check_elements([sum(value.data.size for value in values)])
    chosen = next((v for v in computed if v.order == channels_last(rank)), computed[0])
    tensors = [step.tensor(in_order(value, chosen.order).data) for value in values]
    return like(chosen, tf.concat(tensors, chosen.place(step.whole("axis", 0))))


def _split(step: Step) -> list[Value]:
    value, axis = step.value(), step.whole("axis", 0)
    sizes = step.whole_numbers("split", 1)
    side, parts = value.shape[axis], step.outputs
    if sizes is None:
        each = -(-side // parts)
        sizes = [each] * (parts - 1) + [side - each * (parts - 1)]
    if sum(sizes) != side or min(sizes) < 0 or len(sizes) != parts:
        raise BadModel(f"it splits {side} into {sizes}: expected {parts} parts of the whole")
    pieces = tf.split(step.tensor(value.data), sizes, value.place(axis))
    return [like(value, piece) for piece in pieces]


def _slice(step: Step) -> Value:
    value = step.value()
    starts, ends = step.whole_numbers("starts", 1), step.whole_numbers("ends", 2)
    if starts is None or ends is None:
        raise BadModel("it has no start or no end")
    axes = step.whole_numbers("axes", 3) or list(range(len(starts)))
    steps = step.whole_numbers("steps", 4) or [1] * len(starts)
    index = [slice(None)] * value.rank
    for axis, start, end, stride in zip(axes, starts, ends, steps, strict=True):
        side = value.shape[axis]
        # An end at the last element means the end, also for images of another size.
        whole = end >= side if stride > 0 else end < -side
        begin = None if (stride < 0 and start >= side) else min(start, side)
        index[value.place(axis)] = slice(begin, None if whole else end, stride)
    return like(value, step.tensor(value.data)[tuple(index)])


def _gather(step: Step) -> Value:
    value, axis = step.value(), step.whole("axis", 0)
    indices = step.fixed(step.value(1), "index")
    side = value.shape[axis]
    if np.any(indices >= side) or np.any(indices < -side):
        raise BadModel(f"it reads behind the end of an axis of {side}")
    check_elements([indices.size, math.prod(value.shape) // max(side, 1)], _most(value))
    indices = indices % side
    if value.flat:
        return _gathered_from_flat(value, indices)
    if indices.ndim > 1:
        value = plain(value)
    data = tf.gather(step.tensor(value.data), indices, axis=value.place(axis))
    if indices.ndim == 0:
        return without_axes(value, data, {axis % value.rank})
    return like(value, data) if indices.ndim == 1 else Value(data, tuple(range(len(data.shape))))


def _gathered_from_flat(value: Value, indices: Array) -> Value:
    """Return each image's numbers at some indices, as PyTorch exports `as_strided`."""
    if indices.ndim < 2 or indices.shape[0] != 1:
        raise BadModel("it mixes the images of a batch")
    if np.array_equal(indices.reshape(-1), np.arange(indices.size)):
        data = tf.reshape(value.data, [-1, *indices.shape[1:]])
    else:
        data = tf.gather(value.data, indices[0], axis=1)
    return Value(data, tuple(range(indices.ndim)), 1)


def _most(value: Value) -> int:
    return MOST_IN_CONSTANTS if value.is_constant else MOST_IN_IMAGES


def _expand(step: Step) -> Value:
    value, shape = step.value(), step.whole_numbers("shape", 1) or []
    rank = max(value.rank, len(shape))
    shape = [1] * (rank - len(shape)) + shape
    check_elements(shape, _most(value))
    if value.is_constant:
        sides = [1] * (rank - value.rank) + list(value.shape)
        return constant(
            np.ascontiguousarray(np.broadcast_to(value.data, np.broadcast_shapes(sides, shape)))
        )
    if rank != value.rank:
        raise BadModel("it adds axes to the image: expected as many axes as before")
    # Axes that stay have the length of the image's own.
    times = [wanted if side == 1 else 1 for wanted, side in zip(shape, value.shape, strict=True)]
    return like(value, tf.tile(value.data, [times[axis] for axis in value.order]))


def _tile(step: Step) -> Value:
    value, times = step.value(), step.whole_numbers("repeats", 1) or []
    check_elements([math.prod(value.shape), *times], _most(value))
    return like(value, tf.tile(step.tensor(value.data), [times[axis] for axis in value.order]))


def _pad(step: Step) -> Value:
    value, mode = step.value(), step.text("mode", "constant")
    pads, axes = step.whole_numbers("pads", 1) or [], step.whole_numbers("axes", 3)
    axes = list(range(value.rank)) if axes is None else axes
    fill = step.parameter("value", 2)
    if len(pads) != 2 * len(axes) or (pads and max(map(abs, pads)) > 4096):
        raise BadModel(f"its padding is not valid: found {pads[:8]}")
    paddings = np.zeros([value.rank, 2], int)
    for number, axis in enumerate(axes):
        paddings[value.place(axis)] = pads[number], pads[number + len(axes)]
    x = step.tensor(value.data)
    if np.any(paddings < 0):
        cut = [slice(max(-a, 0), min(b, 0) or None) for a, b in paddings.tolist()]
        x, paddings = x[tuple(cut)], np.maximum(paddings, 0)
    if not np.any(paddings):
        return like(value, x)
    if mode not in ("constant", "reflect"):
        raise BadModel(f"its mode is {mode}: expected constant or reflect")
    filler = float(fill.reshape(-1)[0]) if fill is not None and fill.size else 0.0
    # Kinds of minus infinity would count as a broken weight.
    filler = float(np.clip(filler, -3e38, 3e38))
    return like(value, tf.pad(x, paddings, mode.upper(), constant_values=filler))


def _shape_of(step: Step) -> Value:
    shape = step.value().shape
    start, end = step.whole("start", 0), step.attributes.get("end")
    return constant(np.array(shape[start:end], np.int64))


def _size_of(step: Step) -> Value:
    return constant(np.array(math.prod(step.value().shape), np.int64))


def _constant(step: Step) -> Value:
    for name, dtype in (
        ("value", None),
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if name in step.attributes:
            return constant(np.asarray(step.attributes[name], dtype))
    raise BadModel("it has no numbers")


def _filled(step: Step) -> Value:
    shape = step.whole_numbers("shape", 0) or []
    check_elements(shape)
    value = np.asarray(step.attributes.get("value", np.zeros(1, np.float32))).reshape(-1)[:1]
    return constant(np.full(shape, value[0], value.dtype))


def _range(step: Step) -> Value:
    start, end, stride = (
        step.fixed(step.value(index), "limit").reshape(-1)[0] for index in range(3)
    )
    if stride == 0:
        raise BadModel("its step is 0")
    check_elements([int(abs((end - start) / stride)) + 1])
    return constant(np.arange(start, end, stride))


AXES: Mapping[str, Operator] = {
    "Concat": _concatenation,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Dropout": _identity,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _identity,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape_of,
    "Size": _size_of,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
