"""ONNX operators that mix all numbers of an axis: products, normalisations, means, softmax."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.axes import without_axes
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step
from diamond_cutter.model_inventory.onnx.values import (
    Value,
    as_image,
    channels_last,
    in_order,
    like,
    plain,
)


def _gemm(step: Step) -> Value:
    first, second = (_matrix(step.value(index)) for index in (0, 1))
    if step.whole("transA", 0):
        first = plain(_turned(first))
    if step.whole("transB", 0):
        second = plain(_turned(second))
    product = tf.linalg.matmul(
        step.tensor(first.data, "first"), step.tensor(second.data, "weights")
    )
    alpha, beta, bias = step.number("alpha", 1.0), step.number("beta", 1.0), step.optional(2)
    if alpha != 1:
        product = product * alpha
    if bias is not None and beta != 0:
        added = step.tensor(plain(bias).data, "bias")
        added = added * beta if beta != 1 else added
        product = tf.nn.bias_add(product, added) if bias.rank == 1 else product + added
    return Value(product, (0, 1), 1)


def _matrix(value: Value) -> Value:
    if value.rank != 2:
        raise BadModel(f"its input has {value.rank} axes: expected 2")
    return plain(value)


def _turned(value: Value) -> Value:
    return Value(value.data, value.order[::-1], shape=value.shape[::-1])


def _matmul(step: Step) -> Value:
    first, second = step.value(0), step.value(1)
    last = first.rank - 1
    if first.rank == 4 and second.rank == 2 and first.place(last) == 3 and second.is_constant:
        # A product at each position is a convolution, whose layer has rows and columns.
        kernel = step.tensor(second.data[None, None], "weights")
        y = tf.nn.conv2d(step.tensor(first.data, "first"), kernel, [1, 1], "VALID")
        return Value(y, first.order, last)
    first, second = plain(first), plain(second)
    product = tf.linalg.matmul(
        step.tensor(first.data, "first"), step.tensor(second.data, "weights")
    )
    rank = len(product.shape)
    return Value(product, tuple(range(rank)), rank - 1)


def _batch_norm(step: Step) -> Value:
    if step.whole("training_mode", 0) or step.whole("spatial", 1) == 0:
        raise BadModel("it normalises by the batch: expected fixed statistics. Export in eval mode")
    value, epsilon = step.value(), step.number("epsilon", 1e-5)
    parts = [
        step.tensor(step.value(index + 1).data, part)
        for index, part in enumerate(("gamma", "beta", "mean", "variance"))
    ]
    if value.rank != 4:
        scale = parts[0] * tf.math.rsqrt(parts[3] + epsilon)
        moved = in_order(value, channels_last(value.rank))
        return like(moved, moved.data * scale + (parts[1] - parts[2] * scale))
    image = as_image(value)
    y = tf.raw_ops.FusedBatchNormV3(
        x=image.data,
        scale=parts[0],
        offset=parts[1],
        mean=parts[2],
        variance=parts[3],
        epsilon=epsilon,
        is_training=False,
    )
    return like(image, y.y)


def _layer_norm(step: Step) -> Value:
    value, axis = step.value(), step.whole("axis", -1)
    axes = list(range(axis % value.rank, value.rank))
    if len(axes) > 1:
        value = plain(value)
    y = _normalised(step, value, axes)
    for part, index, combine in (("scale", 1, tf.multiply), ("offset", 2, tf.add)):
        weights = step.optional(index)
        if weights is not None:
            y = combine(y, step.tensor(_spread(value, weights), part))
    return like(value, y)


def _normalised(step: Step, value: Value, axes: list[int]) -> tf.Tensor:
    """Return a value with mean 0 and variance 1 over some axes of ONNX."""
    places = [value.place(axis) for axis in axes]
    x = step.tensor(value.data)
    mean = tf.reduce_mean(x, places, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), places, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + step.number("epsilon", 1e-5))


def _spread(value: Value, weights: Value) -> Any:
    """Return weights of the last axes of ONNX, as a value keeps its axes in memory."""
    if weights.rank == 1 and value.place(value.rank - 1) == value.rank - 1:
        return weights.data
    shape = [1] * (value.rank - weights.rank) + list(weights.shape)
    return weights.data.reshape([shape[axis] for axis in value.order])


def _instance_norm(step: Step) -> Value:
    value = in_order(step.value(), channels_last(step.value().rank))
    y = _normalised(step, value, list(range(2, value.rank)))
    scale, offset = (
        step.tensor(step.value(index).data, part) for index, part in ((1, "scale"), (2, "offset"))
    )
    return like(value, y * scale + offset)


def _group_norm(step: Step) -> Value:
    if step.version < 21:
        raise BadModel(f"it is of operator set {step.version}: expected 21 or newer")
    image, groups = as_image(step.value()), step.whole("num_groups", 1)
    channels = image.side(1) or 0
    if channels % groups:
        raise BadModel(f"its groups do not fit: expected a divisor of {channels}, found {groups}")
    shape = tf.shape(image.data)
    x = tf.reshape(image.data, tf.stack([shape[0], shape[1], shape[2], groups, channels // groups]))
    mean = tf.reduce_mean(x, [1, 2, 4], keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), [1, 2, 4], keepdims=True)
    y = (x - mean) * tf.math.rsqrt(variance + step.number("epsilon", 1e-5))
    y = tf.reshape(y, tf.stack([shape[0], shape[1], shape[2], channels]))
    scale, offset = (
        step.tensor(step.value(index).data, part) for index, part in ((1, "scale"), (2, "offset"))
    )
    return like(image, y * scale + offset)


def _reduction(reduce: Callable[..., tf.Tensor]) -> Operator:
    def apply(step: Step) -> Value:
        value, axes = step.value(), step.whole_numbers("axes", 1)
        if not axes:
            if step.whole("noop_with_empty_axes", 0):
                return value
            axes = list(range(value.rank))
        keeps = bool(step.whole("keepdims", 1))
        places = sorted({value.place(axis) for axis in axes})
        data = reduce(step.tensor(value.data), places, keepdims=keeps)
        return (
            like(value, data)
            if keeps
            else without_axes(value, data, {axis % value.rank for axis in axes})
        )

    return apply


def _norm(x: tf.Tensor, axes: list[int], keepdims: bool) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(x), axes, keepdims=keepdims))


def _absolute_sum(x: tf.Tensor, axes: list[int], keepdims: bool) -> tf.Tensor:
    return tf.reduce_sum(tf.abs(x), axes, keepdims=keepdims)


def _sum_of_squares(x: tf.Tensor, axes: list[int], keepdims: bool) -> tf.Tensor:
    return tf.reduce_sum(tf.square(x), axes, keepdims=keepdims)


def _lp_normalization(step: Step) -> Value:
    value, degree = step.value(), step.whole("p", 2)
    if degree not in (1, 2):
        raise BadModel(f"its p is {degree}: expected 1 or 2")
    reduce = _norm if degree == 2 else _absolute_sum
    x = value.data
    return like(value, x / reduce(x, [value.place(step.whole("axis", -1))], keepdims=True))


def _softmax(function: Callable[..., tf.Tensor]) -> Operator:
    def apply(step: Step) -> Value:
        value = step.value()
        axis = step.whole("axis", -1 if step.version >= 13 else 1)
        if step.version < 13 and math.prod(value.shape[axis + 1 :]) != 1 and axis != -1:
            raise BadModel("it runs over several axes: expected one. Export with opset 13 or newer")
        return like(value, function(step.tensor(value.data), axis=value.place(axis)))

    return apply


def _arg_max(step: Step) -> Value:
    value, axis, keeps = step.value(), step.whole("axis", 0), step.whole("keepdims", 1)
    data = tf.argmax(step.tensor(value.data), value.place(axis))
    if keeps:
        return like(value, tf.expand_dims(data, value.place(axis)))
    return without_axes(value, data, {axis % value.rank})


PRODUCTS_AND_NORMS: Mapping[str, Operator] = {
    "ArgMax": _arg_max,
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax(tf.nn.log_softmax),
    "LpNormalization": _lp_normalization,
    "MatMul": _matmul,
    "ReduceL1": _reduction(_absolute_sum),
    "ReduceL2": _reduction(_norm),
    "ReduceMax": _reduction(tf.reduce_max),
    "ReduceMean": _reduction(tf.reduce_mean),
    "ReduceMin": _reduction(tf.reduce_min),
    "ReduceProd": _reduction(tf.reduce_prod),
    "ReduceSum": _reduction(tf.reduce_sum),
    "ReduceSumSquare": _reduction(_sum_of_squares),
    "Softmax": _softmax(tf.nn.softmax),
}
