"""The outputs of an ONNX file."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.heads import Activation, Output
from diamond_cutter.model_inventory.onnx.values import Value, in_order

# By operator of ONNX.
_ACTIVATIONS: Mapping[str, Activation] = {
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "Sigmoid": "sigmoid",
}


def named_outputs(
    names: Sequence[str], values: Mapping[str, Value], operators: Mapping[str, str]
) -> dict[Output, Value]:
    """Return the outputs that depend on the image, with the channels last.

    Args:
        names: of all outputs of the file.
        values: that were computed, by name.
        operators: that compute them, by name.

    Raises:
        BadModel: there is none.
    """
    found = {}
    for name in dict.fromkeys(names):
        value = values.get(name)
        if value is None or value.is_constant or value.data.dtype != tf.float32:
            continue
        order = _order(value)
        shape = tuple(value.shape[axis] for axis in order[1:])
        activation = _ACTIVATIONS.get(operators.get(name, ""), "none")
        found[Output(name=name, shape=shape, activation=activation)] = in_order(value, order)
    if not found:
        raise BadModel("no output depends on the image")
    return found


def _order(value: Value) -> tuple[int, ...]:
    """Return the axes of ONNX with that of the channels last."""
    axes = range(value.rank)
    if value.rank != 4 or value.channels is None:
        return tuple(axes)
    return (*(axis for axis in axes if axis != value.channels), value.channels)
