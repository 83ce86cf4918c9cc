"""ONNX operators that compute each number on its own: activation functions and arithmetic."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step
from diamond_cutter.model_inventory.onnx.values import Value, aligned, like

_FLOATS = {np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)}


def _of_one(function: Callable[[tf.Tensor], tf.Tensor]) -> Operator:
    def apply(step: Step) -> Value:
        value = step.value()
        return like(value, function(step.tensor(value.data)))

    return apply


def _of_two(function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Operator:
    """Return an operator that combines two or more inputs from left to right."""

    def apply(step: Step) -> Value:
        data, model = aligned([step.value(index) for index in range(max(2, len(step.inputs)))])
        tensors = [step.tensor(each, f"operand_{index}") for index, each in enumerate(data)]
        result = tensors[0]
        for other in tensors[1:]:
            result = function(result, other)
        return like(model, result)

    return apply


def _folded(function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Operator:
    """Return an operator for any number of inputs."""
    combine = _of_two(function)
    return lambda step: step.value() if len(step.inputs) == 1 else combine(step)


def _mean(step: Step) -> Value:
    total = _folded(tf.add)(step)
    if isinstance(total, list):
        raise BadModel("it has several outputs")
    return like(total, step.tensor(total.data) / float(len(step.inputs)))


def _divide(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    whole = first.dtype.is_integer
    return tf.truncatediv(first, second) if whole else tf.divide(first, second)


def _modulo(step: Step) -> Value | list[Value]:
    return _of_two(tf.truncatemod if step.whole("fmod", 0) else tf.math.floormod)(step)


def _clip(step: Step) -> Value:
    value = step.value()
    low, high = (step.parameter(name, index) for name, index in (("min", 1), ("max", 2)))
    x = step.tensor(value.data)
    if low is not None and float(low) == 0:
        if high is not None and float(high) == 6:
            return like(value, tf.nn.relu6(x))
        x, low = tf.nn.relu(x), None
    if low is not None:
        x = tf.maximum(x, tf.constant(low.reshape([]), x.dtype))
    if high is not None:
        x = tf.minimum(x, tf.constant(high.reshape([]), x.dtype))
    return like(value, x)


def _leaky_relu(step: Step) -> Value:
    value = step.value()
    return like(value, tf.nn.leaky_relu(value.data, step.number("alpha", 0.01)))


def _parametric_relu(step: Step) -> Value:
    (x, slope), model = aligned([step.value(0), step.value(1)])
    return like(model, tf.nn.relu(x) - step.tensor(slope, "slope") * tf.nn.relu(-x))


def _elu(step: Step) -> Value:
    value, alpha = step.value(), step.number("alpha", 1.0)
    x = value.data
    return like(
        value, tf.nn.elu(x) if alpha == 1 else tf.nn.relu(x) + alpha * tf.nn.elu(-tf.nn.relu(-x))
    )


def _celu(step: Step) -> Value:
    value, alpha = step.value(), step.number("alpha", 1.0)
    x = value.data
    return like(value, tf.nn.relu(x) + alpha * tf.nn.elu(-tf.nn.relu(-x) / alpha))


def _selu(step: Step) -> Value:
    value = step.value()
    if "alpha" in step.attributes or "gamma" in step.attributes:
        alpha, gamma = step.number("alpha", 1.67326319), step.number("gamma", 1.05070102)
        x = value.data
        return like(value, gamma * (tf.nn.relu(x) + alpha * tf.nn.elu(-tf.nn.relu(-x))))
    return like(value, tf.nn.selu(value.data))


def _hard_sigmoid(step: Step) -> Value:
    value, alpha, beta = step.value(), step.number("alpha", 0.2), step.number("beta", 0.5)
    x = value.data
    if abs(alpha * 6 - 1) < 1e-6 and beta == 0.5:
        return like(value, tf.nn.relu6(x + 3.0) * (1 / 6))
    return like(value, tf.minimum(tf.nn.relu(alpha * x + beta), 1.0))


def _hard_swish(step: Step) -> Value:
    value = step.value()
    return like(value, value.data * (tf.nn.relu6(value.data + 3.0) * (1 / 6)))


def _gelu(step: Step) -> Value:
    value, kind = step.value(), step.text("approximate", "none")
    return like(value, tf.nn.gelu(value.data, approximate=kind == "tanh"))


def _mish(step: Step) -> Value:
    value = step.value()
    return like(value, value.data * tf.tanh(tf.nn.softplus(value.data)))


def _thresholded_relu(step: Step) -> Value:
    value, alpha = step.value(), step.number("alpha", 1.0)
    return like(value, tf.where(value.data > alpha, value.data, tf.zeros_like(value.data)))


def _cast(step: Step) -> Value:
    from onnx.helper import tensor_dtype_to_np_dtype

    value = step.value()
    wanted = tensor_dtype_to_np_dtype(step.whole("to", 1))
    # All arithmetic is done in float32, whichever precision the file asks for.
    wanted = np.dtype(np.float32) if wanted in _FLOATS or wanted.name == "bfloat16" else wanted
    if value.is_constant:
        return like(value, value.data.astype(wanted))
    if wanted != np.float32 or not value.data.dtype.is_floating:
        raise BadModel(f"it converts numbers of the image to {wanted}: expected float32")
    return value


def _where(step: Step) -> Value:
    (condition, yes, no), model = aligned([step.value(index) for index in range(3)])
    chosen: Any = tf.where(
        step.tensor(condition, "condition"), step.tensor(yes, "yes"), step.tensor(no, "no")
    )
    return like(model, chosen)


ELEMENTWISE: Mapping[str, Operator] = {
    **{
        name: _of_one(function)
        for name, function in {
            "Abs": tf.abs,
            "Ceil": tf.math.ceil,
            "Cos": tf.cos,
            "Erf": tf.math.erf,
            "Exp": tf.exp,
            "Floor": tf.floor,
            "Log": tf.math.log,
            "Neg": tf.negative,
            "Not": tf.logical_not,
            "Reciprocal": tf.math.reciprocal,
            "Relu": tf.nn.relu,
            "Round": tf.round,
            "Sigmoid": tf.sigmoid,
            "Sign": tf.sign,
            "Sin": tf.sin,
            "Softplus": tf.nn.softplus,
            "Softsign": tf.nn.softsign,
            "Sqrt": tf.sqrt,
            "Tanh": tf.tanh,
        }.items()
    },
    **{
        name: _of_two(function)
        for name, function in {
            "Add": tf.add,
            "And": tf.logical_and,
            "Div": _divide,
            "Equal": tf.equal,
            "Greater": tf.greater,
            "GreaterOrEqual": tf.greater_equal,
            "Less": tf.less,
            "LessOrEqual": tf.less_equal,
            "Mul": tf.multiply,
            "Or": tf.logical_or,
            "Pow": lambda x, y: tf.pow(x, tf.cast(y, x.dtype)),
            "Sub": tf.subtract,
        }.items()
    },
    **{
        name: _folded(function)
        for name, function in {
            "Max": tf.maximum,
            "Min": tf.minimum,
            "Sum": tf.add,
        }.items()
    },
    "Cast": _cast,
    "Celu": _celu,
    "Clip": _clip,
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Mean": _mean,
    "Mish": _mish,
    "Mod": _modulo,
    "PRelu": _parametric_relu,
    "Selu": _selu,
    "ThresholdedRelu": _thresholded_relu,
    "Where": _where,
}
