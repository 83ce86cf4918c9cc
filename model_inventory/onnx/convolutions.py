"""ONNX operators that convolve images. All take and return images with the channels last."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step
from diamond_cutter.model_inventory.onnx.values import Value, as_image, image_value
from diamond_cutter.model_inventory.onnx.windows import Window, padded, read_window


def _convolution(step: Step) -> Value:
    image, weights = as_image(step.value()), step.value(1)
    if weights.rank != 4:
        raise BadModel(f"its weights have {weights.rank} axes: expected 4, for images")
    outputs, inputs, *size = (int(side or 0) for side in weights.sides())
    window, groups = read_window(step, size), step.whole("group", 1)
    channels = image.side(1)
    if channels != inputs * groups or outputs % groups:
        raise BadModel(
            f"its weights do not fit the image: expected {inputs} x {groups} channels, found "
            f"{channels}"
        )
    x, padding = padded(image.data, window, 0.0)
    depthwise = groups == channels and groups > 1 and window.strides[0] == window.strides[1]
    if depthwise:
        y = _depthwise(step, x, weights.data, outputs // groups, window, padding)
    else:
        kernel = step.tensor(_moved(weights.data, (2, 3, 1, 0)), "weights")
        y = tf.nn.conv2d(x, kernel, list(window.strides), padding, dilations=window.dilations)
    return image_value(_with_bias(step, y))


def _depthwise(
    step: Step, x: tf.Tensor, weights: Any, multiplier: int, window: Window, padding: str
) -> tf.Tensor:
    """Convolve each channel on its own; the weights are [channel x multiplier, 1, row, column]."""
    rows, columns = window.size
    split = (weights.shape[0] // multiplier, multiplier, rows, columns)
    whole = (
        weights.reshape(split) if isinstance(weights, np.ndarray) else tf.reshape(weights, split)
    )
    kernel = step.tensor(_moved(whole, (2, 3, 0, 1)), "weights")
    return tf.nn.depthwise_conv2d(
        x, kernel, [1, *window.strides, 1], padding, dilations=window.dilations
    )


def _transposed_convolution(step: Step) -> Value:
    image, weights = as_image(step.value()), step.value(1)
    if weights.rank != 4:
        raise BadModel(f"its weights have {weights.rank} axes: expected 4, for images")
    inputs, _outputs, *size = (int(side or 0) for side in weights.sides())
    window, groups = read_window(step, size), step.whole("group", 1)
    if image.side(1) != inputs or inputs % groups:
        raise BadModel(
            f"its weights do not fit the image: expected {inputs} channels, found {image.side(1)}"
        )
    if "output_shape" in step.attributes or window.padding is None:
        raise BadModel("it gives the size of its output: expected its padding as numbers")
    kernel = step.tensor(_moved(weights.data, (2, 3, 1, 0)), "weights")
    added = _added(step)
    parts = [
        _spread(x, part, window, added)
        for x, part in zip(
            tf.split(image.data, groups, 3) if groups > 1 else [image.data],
            tf.split(kernel, groups, 3) if groups > 1 else [kernel],
            strict=True,
        )
    ]
    return image_value(_with_bias(step, parts[0] if groups == 1 else tf.concat(parts, 3)))


def _added(step: Step) -> tuple[int, int]:
    rows, columns = (int(each) for each in step.attributes.get("output_padding", (0, 0)))
    return rows, columns


def _spread(x: tf.Tensor, kernel: tf.Tensor, window: Window, added: tuple[int, int]) -> tf.Tensor:
    """Return the transposed convolution of one group; the kernel is [row, column, out, in]."""
    shape = tf.shape(x)
    whole = [
        (shape[axis + 1] - 1) * window.strides[axis] + window.reach[axis] + added[axis]
        for axis in (0, 1)
    ]
    sides = tf.stack([shape[0], *whole, tf.constant(kernel.shape[2])])
    y = tf.nn.conv2d_transpose(
        x, kernel, sides, list(window.strides), "VALID", dilations=window.dilations
    )
    top, bottom, left, right = window.padding or (0, 0, 0, 0)
    if any((top, bottom, left, right)):
        y = y[:, top : -bottom or None, left : -right or None, :]
    return y


def _with_bias(step: Step, y: tf.Tensor) -> tf.Tensor:
    bias = step.optional(2)
    return y if bias is None else tf.nn.bias_add(y, step.tensor(bias.data, "bias"))


def _moved(data: Any, axes: tuple[int, ...]) -> Any:
    """Return data with other axes; arrays become contiguous when they are written."""
    return data.transpose(axes) if isinstance(data, np.ndarray) else tf.transpose(data, axes)


CONVOLUTIONS: Mapping[str, Operator] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
}
