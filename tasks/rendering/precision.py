"""How a device computes: compiled by XLA or not, in which precision, and with which gradients.

The optimisation climbs as well on 8 bits of mantissa as on 24, and processors that know bfloat16
climb faster. What a sprite is scored by is always computed in float32, on the graph as it was.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.graph.graph_def import with_gradients

_FLOAT32, _BFLOAT16 = tf.float32.as_datatype_enum, tf.bfloat16.as_datatype_enum
# By their definitions they take bfloat16, but want or give float32 beside it, or have no kernel for
# it.
_FLOAT32_ONLY = {
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    "LRN",
    "ResizeBilinear",
    "ResizeBicubic",
    "ResizeArea",
}
_GRADIENTS = {
    "DepthwiseConv2dNative": "DiamondCutterDepthwise",
    "Relu": "DiamondCutterRelu",
    "Relu6": "DiamondCutterRelu6",
}


@dataclass(frozen=True)
class Execution:
    """How the loop runs."""

    xla: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"

    @property
    def dtype(self) -> tf.DType:
        """Return the type of the network's weights and activations."""
        return tf.as_dtype(self.precision)

    @property
    def name(self) -> str:
        """Name it for a record."""
        return self.precision + (", XLA" if self.xla else "")


@cache
def execution_here() -> Execution:
    """Return how this process's device renders fastest: bfloat16 where it has units for it, XLA on
    a GPU only.
    """
    if tf.config.list_physical_devices("GPU"):
        return Execution(xla=True, precision="bfloat16")
    return Execution(precision="bfloat16" if _processor_multiplies_bfloat16() else "float32")


def _processor_multiplies_bfloat16() -> bool:
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def fitting(graph: tf.compat.v1.GraphDef, execution: Execution) -> Execution:
    """Return the execution, in float32 if the graph has an operation that does not take what all
    others would then give it.

    Unfolded BatchNorm is one, which takes its statistics in float32 only; local response
    normalisation and resizing are others.
    """
    if execution.precision == "float32" or all(_takes_bfloat16(node) for node in graph.node):
        return execution
    return replace(execution, precision="float32")


def _takes_bfloat16(node: tf.compat.v1.NodeDef) -> bool:
    if node.op in _FLOAT32_ONLY:
        return False
    allowed = {
        attribute.name: attribute.allowed_values.list.type
        for attribute in op_def_registry.get(node.op).attr
    }
    return all(
        _BFLOAT16 in allowed[name]
        for name, value in node.attr.items()
        if value.type == _FLOAT32 and name in allowed and allowed[name]
    )


def in_precision(graph: tf.compat.v1.GraphDef, execution: Execution) -> tf.compat.v1.GraphDef:
    """Return a copy of a graph whose weights and activations have the execution's precision."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    if execution.precision == "float32":
        return copy
    for node in copy.node:
        if node.op == "Const" and node.attr["dtype"].type == _FLOAT32:
            value = tf.cast(tf.make_ndarray(node.attr["value"].tensor), tf.bfloat16).numpy()
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.bfloat16))
        for attribute in node.attr.values():
            if attribute.type == _FLOAT32:
                attribute.type = _BFLOAT16
            if attribute.list.type:
                attribute.list.type[:] = [
                    _BFLOAT16 if kind == _FLOAT32 else kind for kind in attribute.list.type
                ]
    return copy


def faster_gradients(graph: tf.compat.v1.GraphDef, execution: Execution) -> tf.compat.v1.GraphDef:
    """Return a copy of a graph with gradients that are equal in value and faster in bfloat16 on a
    processor.

    TensorFlow's own for depthwise convolutions are up to ten times slower there than the
    convolutions themselves, and those for ReLUs twice as slow as in float32.
    """
    return with_gradients(
        graph, _GRADIENTS if execution.precision == "bfloat16" and not execution.xla else {}
    )


@tf.RegisterGradient(_GRADIENTS["Relu"])
def _relu(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return _where_positive(op.outputs[0], upstream)


@tf.RegisterGradient(_GRADIENTS["Relu6"])
def _relu6(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return _where_between_0_and_6(op.outputs[0], upstream)


# Element by element XLA is twice as fast as TensorFlow's kernels, which convert each number twice.
@tf.function(jit_compile=True, autograph=False)
def _where_positive(values: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    return tf.where(values > 0, upstream, tf.zeros_like(upstream))


@tf.function(jit_compile=True, autograph=False)
def _where_between_0_and_6(values: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    return tf.where((values > 0) & (values < 6), upstream, tf.zeros_like(upstream))


@tf.RegisterGradient(_GRADIENTS["DepthwiseConv2dNative"])
def _depthwise(op: tf.Operation, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Convolve the upstream gradient, spread out by the stride, with the kernel turned round: the
    same sum as a forward pass.
    """
    x, kernel = op.inputs
    stride, sides = op.get_attr("strides")[1], x.shape[1:3]
    plain = (
        op.get_attr("padding") == b"SAME"
        and set(op.get_attr("dilations")) == {1}
        and kernel.shape[3] == 1
    )
    if not plain or None in sides or op.get_attr("strides")[2] != stride:
        return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=tf.shape(x),
            filter=kernel,
            out_backprop=upstream,
            strides=op.get_attr("strides"),
            padding=op.get_attr("padding").decode(),
            explicit_paddings=op.get_attr("explicit_paddings"),
            dilations=op.get_attr("dilations"),
        ), None
    turned = kernel[::-1, ::-1]
    if stride == 1 and kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1:
        return tf.nn.depthwise_conv2d(upstream, turned, [1, 1, 1, 1], "SAME"), None
    padded = _spread_out(upstream, stride, tuple(x.shape[1:3]), tuple(kernel.shape[:2]))
    return tf.nn.depthwise_conv2d(padded, turned, [1, 1, 1, 1], "VALID"), None


def _padding(side: int, kernel: int, stride: int) -> int:
    """Return how much SAME padding goes before an axis."""
    return max((-(-side // stride) - 1) * stride + kernel - side, 0) // 2


# Compiled, so that the wide array is written once.
@tf.function(jit_compile=True, autograph=False)
def _spread_out(
    values: tf.Tensor, stride: int, sides: tuple[int, int], kernel: tuple[int, int]
) -> tf.Tensor:
    """Put `stride - 1` zeros between neighbours and as many around them as a kernel needs to reach
    all `sides`.
    """
    _, height, width, channels = values.shape
    zeros = stride - 1
    wide = tf.pad(
        values[:, :, None, :, None, :], [[0, 0], [0, 0], [0, zeros], [0, 0], [0, zeros], [0, 0]]
    )
    spread = tf.reshape(wide, [-1, height * stride, width * stride, channels])[
        :, : (height - 1) * stride + 1, : (width - 1) * stride + 1
    ]
    around = []
    for side, taps, length in zip(sides, kernel, spread.shape[1:3], strict=True):
        first = taps - 1 - _padding(side, taps, stride)
        around.append([first, side + taps - 1 - length - first])
    return tf.pad(spread, [[0, 0], *around, [0, 0]])
