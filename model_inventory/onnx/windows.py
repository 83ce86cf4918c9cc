"""ONNX operators that slide a window over the image: convolutions and poolings.

All take and return images with the channels last. Padding that TensorFlow cannot express for images
of any size becomes a node of its own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step
from diamond_cutter.model_inventory.onnx.values import Value, as_image, channels_last

# Below every activation. Minus infinity would count as a broken weight.
_LOWEST = -3e38


@dataclass(frozen=True)
class _Window:
    """A window over rows and columns.

    Attributes:
        size: of the window, in elements that it reads.
        strides: in rows and columns.
        dilations: distance between the elements that it reads.
        padding: rows above, rows below, columns left, columns right; None for `SAME`.
        rounds_up: the last window may be cut off (`ceil_mode`).
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int, int, int] | None
    rounds_up: bool = False

    @property
    def reach(self) -> tuple[int, int]:
        """Return the rows and columns that the window covers."""
        rows, columns = (
            (size - 1) * step + 1 for size, step in zip(self.size, self.dilations, strict=True)
        )
        return rows, columns

    @property
    def extra(self) -> tuple[int, int]:
        """Return the rows and columns that rounding up can add."""
        rows, columns = (stride - 1 if self.rounds_up else 0 for stride in self.strides)
        return rows, columns

    @property
    def is_same(self) -> bool:
        """Tell whether TensorFlow's `SAME` pads alike for images of any size."""
        if self.padding is None:
            return True
        reach = self.reach
        halves = [(reach[0] - 1) / 2] * 2 + [(reach[1] - 1) / 2] * 2
        return any(self.padding) and self.strides == (1, 1) and list(self.padding) == halves

    def paddings(self) -> list[list[int]]:
        """Return the padding of the four axes, with what rounding up adds."""
        top, bottom, left, right = self.padding or (0, 0, 0, 0)
        rows, columns = self.extra
        return [[0, 0], [top, bottom + rows], [left, right + columns], [0, 0]]


def _window(step: Step, size: Sequence[int]) -> _Window:
    if len(size) != 2:
        raise BadModel(
            f"it has a window of {len(size)} axes: expected 2, for images of rows and columns"
        )
    strides, dilations = (
        _pair(step.attributes.get(name, (1, 1)), name) for name in ("strides", "dilations")
    )
    return _Window(
        _pair(size, "kernel_shape"),
        strides,
        dilations,
        _padding(step, size, strides, dilations),
        bool(step.whole("ceil_mode", 0)),
    )


def _padding(
    step: Step, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, int, int, int] | None:
    kind = step.text("auto_pad", "NOTSET")
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        reach = [(k - 1) * d for k, d in zip(size, dilations, strict=True)]
        if kind == "SAME_LOWER" and (any(each % 2 for each in reach) or max(strides) > 1):
            raise BadModel("it pads by SAME_LOWER: expected SAME_UPPER or numbers")
        return None
    pads = [int(each) for each in step.attributes.get("pads", (0, 0, 0, 0))]
    if kind == "VALID":
        return 0, 0, 0, 0
    if len(pads) != 4 or min(pads) < 0 or max(pads) > 4096:
        raise BadModel(f"its padding is not valid: expected four numbers from 0, found {pads}")
    return pads[0], pads[2], pads[1], pads[3]


def _pair(found: Sequence[int], what: str) -> tuple[int, int]:
    sides = [int(each) for each in found]
    if len(sides) != 2 or min(sides) < 1:
        raise BadModel(f"its {what} is not valid: expected two numbers from 1, found {sides}")
    return sides[0], sides[1]


def _padded(x: tf.Tensor, window: _Window, value: float) -> tuple[tf.Tensor, str]:
    """Return the padded image, and the padding that is left to TensorFlow's operation."""
    if window.is_same:
        return x, "SAME"
    paddings = window.paddings()
    if np.any(paddings):
        x = tf.pad(x, paddings, constant_values=value)
    return x, "VALID"


def _convolution(step: Step) -> Value:
    image, weights = as_image(step.value()), step.value(1)
    if weights.rank != 4:
        raise BadModel(f"its weights have {weights.rank} axes: expected 4, for images")
    outputs, inputs, *size = (int(side or 0) for side in weights.sides())
    window, groups = _window(step, size), step.whole("group", 1)
    channels = image.side(1)
    if channels != inputs * groups or outputs % groups:
        raise BadModel(
            f"its weights do not fit the image: expected {inputs} x {groups} channels, found "
            f"{channels}"
        )
    x, padding = _padded(image.data, window, 0.0)
    depthwise = groups == channels and groups > 1 and window.strides[0] == window.strides[1]
    if depthwise:
        y = _depthwise(step, x, weights.data, outputs // groups, window, padding)
    else:
        kernel = step.tensor(_moved(weights.data, (2, 3, 1, 0)), "weights")
        y = tf.nn.conv2d(x, kernel, list(window.strides), padding, dilations=window.dilations)
    return _image(_with_bias(step, y))


def _depthwise(
    step: Step, x: tf.Tensor, weights: Any, multiplier: int, window: _Window, padding: str
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
    window, groups = _window(step, size), step.whole("group", 1)
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
    return _image(_with_bias(step, parts[0] if groups == 1 else tf.concat(parts, 3)))


def _added(step: Step) -> tuple[int, int]:
    rows, columns = (int(each) for each in step.attributes.get("output_padding", (0, 0)))
    return rows, columns


def _spread(x: tf.Tensor, kernel: tf.Tensor, window: _Window, added: tuple[int, int]) -> tf.Tensor:
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


def _max_pool(step: Step) -> Value:
    image, window = as_image(step.value()), _pool_window(step)
    x, padding = _padded(image.data, window, _LOWEST)
    return _image(tf.nn.max_pool2d(x, window.size, window.strides, padding))


def _average_pool(step: Step) -> Value:
    image, window = as_image(step.value()), _pool_window(step)
    counts_padding = bool(step.whole("count_include_pad", 0))
    if window.is_same and not counts_padding:
        return _image(tf.nn.avg_pool2d(image.data, window.size, window.strides, "SAME"))
    if window.padding is None:
        raise BadModel("it counts the padding of SAME: expected its padding as numbers")
    x = tf.pad(image.data, window.paddings()) if np.any(window.paddings()) else image.data
    mean = tf.nn.avg_pool2d(x, window.size, window.strides, "VALID")
    if not any(window.extra) and (counts_padding or not any(window.padding)):
        return _image(mean)
    # The share of each window that counts, which depends on the size of the image.
    counted = tf.ones_like(image.data[:1, :, :, :1])
    top, bottom, left, right = window.padding
    rows, columns = window.extra
    counted = tf.pad(
        counted,
        [[0, 0], [top, bottom], [left, right], [0, 0]],
        constant_values=1.0 if counts_padding else 0.0,
    )
    counted = tf.pad(counted, [[0, 0], [0, rows], [0, columns], [0, 0]])
    return _image(mean / tf.nn.avg_pool2d(counted, window.size, window.strides, "VALID"))


def _pool_window(step: Step) -> _Window:
    window = _window(step, step.attributes.get("kernel_shape", ()))
    if window.dilations != (1, 1):
        raise BadModel(f"it is dilated by {window.dilations}: expected a pool without dilation")
    cut_off = window.rounds_up and window.padding is not None and max(window.strides) > 1
    if cut_off and (window.padding or (0, 0, 0, 0))[1::2] != (0, 0):
        raise BadModel("it rounds its size up (ceil_mode) and pads: expected one of them")
    return window


def _global_pool(reduce: Callable[..., tf.Tensor]) -> Operator:
    def apply(step: Step) -> Value:
        return _image(reduce(as_image(step.value()).data, [1, 2], keepdims=True))

    return apply


def _local_response(step: Step) -> Value:
    image, size = as_image(step.value()), step.whole("size", 1)
    if size % 2 == 0:
        raise BadModel(f"its size is {size}: expected an odd number")
    return _image(
        tf.nn.local_response_normalization(
            image.data,
            depth_radius=size // 2,
            bias=step.number("bias", 1.0),
            alpha=step.number("alpha", 0.0001) / size,
            beta=step.number("beta", 0.75),
        )
    )


def _blocks(move: Callable[[tf.Tensor, int], tf.Tensor], default: str) -> Operator:
    def apply(step: Step) -> Value:
        if step.text("mode", default) != default:
            raise BadModel(f"its mode is {step.text('mode', default)}: expected {default}")
        return _image(move(as_image(step.value()).data, step.whole("blocksize", 1)))

    return apply


def _moved(data: Any, axes: tuple[int, ...]) -> Any:
    """Return data with other axes; arrays become contiguous when they are written."""
    return data.transpose(axes) if isinstance(data, np.ndarray) else tf.transpose(data, axes)


def _image(data: tf.Tensor) -> Value:
    return Value(data, channels_last(4), channels=1)


def _resize(step: Step) -> Value:
    image = as_image(step.value())
    factors = _factors(step, image)
    mode, where = step.text("mode", "nearest"), _where_sampled(step)
    sides = tf.shape(image.data)[1:3]
    whole = all(abs(factor - round(factor)) < 1e-6 and factor >= 1 for factor in factors)
    if whole:
        sides = sides * tf.constant([round(factor) for factor in factors])
    else:
        floats = tf.cast(sides, tf.float32) * tf.constant(factors, tf.float32)
        sides = tf.cast(tf.floor(floats + 1e-4), tf.int32)
    if mode == "nearest":
        if not whole and (where != "asymmetric" or step.text("nearest_mode", "") != "floor"):
            raise BadModel("it takes the nearest pixel at a factor that is not whole")
        return _image(tf.raw_ops.ResizeNearestNeighbor(images=image.data, size=sides))
    if mode != "linear" or step.whole("antialias", 0):
        raise BadModel(f"its mode is {mode}: expected nearest, or linear without antialias")
    return _image(
        tf.raw_ops.ResizeBilinear(
            images=image.data,
            size=sides,
            align_corners=where == "align_corners",
            half_pixel_centers=where in ("half_pixel", "pytorch_half_pixel"),
        )
    )


def _where_sampled(step: Step) -> str:
    default = "half_pixel" if step.op == "Resize" and step.version > 10 else "asymmetric"
    where = step.text("coordinate_transformation_mode", default)
    if where not in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        raise BadModel(f"its coordinates are {where}: expected half_pixel, align_corners or others")
    return where


def _factors(step: Step, image: Value) -> list[float]:
    """Return by how much rows and columns grow, from the factors or from the sizes at export."""
    newer = step.op == "Resize" and step.version > 10
    scales = step.parameter("scales", 2 if newer else 1)
    sizes = step.parameter("sizes", 3) if newer else None
    if scales is not None and scales.size == 4:
        factors = [float(each) for each in scales]
    elif sizes is not None and sizes.size == 4:
        before = step.value().shape
        factors = [float(after) / side for after, side in zip(sizes, before, strict=True)]
    else:
        raise BadModel("it does not say the size of its output: expected four numbers")
    if factors[:2] != [1.0, 1.0] or not all(math.isfinite(f) and 0 < f <= 64 for f in factors):
        raise BadModel(f"its factors are {factors}: expected 1, 1, and up to 64 for rows, columns")
    return factors[2:]


WINDOWS: Mapping[str, Operator] = {
    "AveragePool": _average_pool,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _blocks(tf.nn.depth_to_space, "DCR"),
    "GlobalAveragePool": _global_pool(tf.reduce_mean),
    "GlobalMaxPool": _global_pool(tf.reduce_max),
    "LRN": _local_response,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Upsample": _resize,
}
