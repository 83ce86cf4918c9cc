"""ONNX operators that pool or resize images. All take and return images with the channels last."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.nodes import Operator, Step
from diamond_cutter.model_inventory.onnx.values import Value, as_image, image_value
from diamond_cutter.model_inventory.onnx.windows import Window, padded, read_window

# Below every activation. Minus infinity would count as a broken weight.
_LOWEST = -3e38


def _max_pool(step: Step) -> Value:
    image, window = as_image(step.value()), _pool_window(step)
    x, padding = padded(image.data, window, _LOWEST)
    return image_value(tf.nn.max_pool2d(x, window.size, window.strides, padding))


def _average_pool(step: Step) -> Value:
    image, window = as_image(step.value()), _pool_window(step)
    counts_padding = bool(step.whole("count_include_pad", 0))
    if window.is_same and not counts_padding:
        return image_value(tf.nn.avg_pool2d(image.data, window.size, window.strides, "SAME"))
    if window.padding is None:
        raise BadModel("it counts the padding of SAME: expected its padding as numbers")
    x = tf.pad(image.data, window.paddings()) if np.any(window.paddings()) else image.data
    mean = tf.nn.avg_pool2d(x, window.size, window.strides, "VALID")
    if not any(window.extra) and (counts_padding or not any(window.padding)):
        return image_value(mean)
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
    return image_value(mean / tf.nn.avg_pool2d(counted, window.size, window.strides, "VALID"))


def _pool_window(step: Step) -> Window:
    window = read_window(step, step.attributes.get("kernel_shape", ()))
    if window.dilations != (1, 1):
        raise BadModel(f"it is dilated by {window.dilations}: expected a pool without dilation")
    cut_off = window.rounds_up and window.padding is not None and max(window.strides) > 1
    if cut_off and (window.padding or (0, 0, 0, 0))[1::2] != (0, 0):
        raise BadModel("it rounds its size up (ceil_mode) and pads: expected one of them")
    return window


def _global_pool(reduce: Callable[..., tf.Tensor]) -> Operator:
    def apply(step: Step) -> Value:
        return image_value(reduce(as_image(step.value()).data, [1, 2], keepdims=True))

    return apply


def _local_response(step: Step) -> Value:
    image, size = as_image(step.value()), step.whole("size", 1)
    if size % 2 == 0:
        raise BadModel(f"its size is {size}: expected an odd number")
    return image_value(
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
        return image_value(move(as_image(step.value()).data, step.whole("blocksize", 1)))

    return apply


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
        return image_value(tf.raw_ops.ResizeNearestNeighbor(images=image.data, size=sides))
    if mode != "linear" or step.whole("antialias", 0):
        raise BadModel(f"its mode is {mode}: expected nearest, or linear without antialias")
    return image_value(
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


POOLING: Mapping[str, Operator] = {
    "AveragePool": _average_pool,
    "DepthToSpace": _blocks(tf.nn.depth_to_space, "DCR"),
    "GlobalAveragePool": _global_pool(tf.reduce_mean),
    "GlobalMaxPool": _global_pool(tf.reduce_max),
    "LRN": _local_response,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Upsample": _resize,
}
